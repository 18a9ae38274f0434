"""What the manifest of a run says before the run begins: all that follows from the plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.scenario import Scenario
from testbed.records.manifest import (
    RUNNING,
    ClientEntry,
    FaultEntry,
    InstanceEntry,
    Manifest,
    ServiceEntry,
    SiteEntry,
)

_OUT_OF_BAND = "by the true state of instances, from shared memory, at each decision: a bound, not what networks can do"


def planned(plan: Plan, case: Mapping[str, Any] | None, begun_at: str, environment: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a run that begins. `case`: what it says of the study that the run belongs to."""
    scenario = plan.scenario
    return Manifest(
        status=RUNNING,
        scenario=scenario.name,
        description=scenario.description,
        policy=scenario.policy,
        policies={name: scenario.policy_of(name) for name in scenario.services},
        steered_out_of_band=dict.fromkeys(scenario.omniscient_services, _OUT_OF_BAND),
        seed=scenario.seed,
        case=case,
        duration_s=scenario.duration_s,
        warm_up_s=scenario.warm_up_s,
        topology=scenario.topology,
        begun_at=begun_at,
        sites=tuple(
            SiteEntry(name, scenario.sites[name].at if name in scenario.sites else name) for name in plan.sites
        ),
        instances=_instances(plan),
        clients=_clients(plan),
        round_trip_ms=_round_trips(plan),
        services=_services(scenario),
        faults=tuple(
            FaultEntry(
                number=fault.number,
                kind=fault.kind,
                target=fault.target,
                at_s=fault.at_s,
                until_s=fault.until_s,
                instance=fault.instance,
                to=fault.to,
                site=fault.site,
                reach=fault.reach,
            )
            for fault in plan.faults
        ),
        environment=environment,
    )


def _instances(plan: Plan) -> tuple[InstanceEntry, ...]:
    return tuple(
        InstanceEntry(
            name=item.name,
            service=item.service,
            site=item.site,
            host=item.host,
            d_bid=item.d_bid,
            workers=item.keys.workers,
            queue_limit=item.keys.queue_limit,
            speed=item.keys.speed,
            mode=item.keys.mode,
        )
        for item in plan.instances
    )


def _clients(plan: Plan) -> tuple[ClientEntry, ...]:
    return tuple(
        ClientEntry(
            name=client.name,
            site=client.site,
            dispatcher=plan.topology.dispatcher_of(client.name),
            address=str(plan.addresses.host(client.name).ipv4.ip),
        )
        for client in plan.clients
    )


def _round_trips(plan: Plan) -> dict[str, dict[str, float]]:
    destinations = sorted({item.site for item in plan.instances})
    return {site: {to: plan.path_cost_ms(site, to) for to in destinations} for site in plan.sites}


def _services(scenario: Scenario) -> dict[str, ServiceEntry]:
    return {
        name: ServiceEntry(
            d_sid=str(item.d_sid),
            kind=item.kind,
            flow_fields=tuple(item.affinity.fields),
            port_block=item.affinity.port_block,
            affinity_mode=item.affinity.mode,
            affinity_timeout_s=item.affinity.timeout_s,
        )
        for name, item in scenario.services.items()
    }
