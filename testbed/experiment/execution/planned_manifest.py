"""What the manifest of a run says before the run begins: all that follows from the plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from testbed.experiment.plan.plan import Plan
from testbed.experiment.system import policy_of, systems
from testbed.records.manifest import (
    RUNNING,
    ClientEntry,
    FaultEntry,
    Manifest,
    SiteEntry,
)


def planned(plan: Plan, case: Mapping[str, Any] | None, begun_at: str, environment: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a run that begins. `case`: what it says of the study that the run belongs to."""
    scenario = plan.scenario
    manifest = Manifest(
        status=RUNNING,
        scenario=scenario.name,
        description=scenario.description,
        policy=policy_of(scenario),
        seed=scenario.seed,
        case=case,
        duration_s=scenario.duration_s,
        warm_up_s=scenario.warm_up_s,
        topology=scenario.topology,
        begun_at=begun_at,
        sites=tuple(
            SiteEntry(name, scenario.sites[name].at if name in scenario.sites else name) for name in plan.sites
        ),
        clients=_clients(plan),
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
    for system in systems():
        more = system.manifest(plan)
        manifest = replace(manifest, **{key: _joined(getattr(manifest, key), value) for key, value in more.items()})
    return manifest


def _joined(before: Any, more: Any) -> Any:
    """Return what two systems say under one key: entries one after another, mappings key by key."""
    if isinstance(before, tuple) and isinstance(more, tuple):
        return before + more
    if isinstance(before, Mapping) and isinstance(more, Mapping):
        return {**before, **{key: _joined(before.get(key), value) for key, value in more.items()}}
    return more


def _clients(plan: Plan) -> tuple[ClientEntry, ...]:
    return tuple(
        ClientEntry(
            name=client.name,
            site=client.site,
            dispatcher=plan.topology.switch_of(client.name),
            address=str(plan.addresses.host(client.name).ipv4.ip),
        )
        for client in plan.clients
    )
