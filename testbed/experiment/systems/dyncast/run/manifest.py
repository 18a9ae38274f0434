"""What the manifest of a run says of Dyncast: policies, services, instances, and the paths between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from testbed.records.manifest import InstanceEntry, ServiceEntry

_OUT_OF_BAND = "by the true state of instances, from shared memory, at each decision: a bound, not what networks can do"


def entries(plan: DyncastPlan) -> Mapping[str, Any]:
    """Return the fields of the manifest that are Dyncast's."""
    scenario = plan.scenario
    return {
        "policies": {name: scenario.policy_of(name) for name in scenario.services},
        "steered_out_of_band": dict.fromkeys(scenario.omniscient_services, _OUT_OF_BAND),
        "instances": _instances(plan),
        "round_trip_ms": _round_trips(plan),
        "services": _services(scenario),
    }


def _instances(plan: DyncastPlan) -> tuple[InstanceEntry, ...]:
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


def _round_trips(plan: DyncastPlan) -> dict[str, dict[str, float]]:
    destinations = sorted({item.site for item in plan.reported})
    return {site: {to: plan.path_cost_ms(site, to) for to in destinations} for site in plan.sites}


def _services(scenario: DyncastScenario) -> dict[str, ServiceEntry]:
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
