"""Faults of instances, D-MAs and control processes: whose flows each can concern. Pure; performs nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from testbed.experiment.plan.fault_plan import check_name
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.systems.dyncast.keys.fault import DyncastFaultKeys
from topologies import routing
from topologies.spec import TopologyError

if TYPE_CHECKING:
    from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan, PlannedInstance, PlannedOffer
    from testbed.experiment.systems.dyncast.scenario import DyncastScenario

_SWITCH_LOOKS_S = 1.0  # how often Open vSwitch ends what is idle

Pair = tuple[str, str]  # ingress site and instance


def started_by(fault: PlannedFault) -> str:
    """Return the instance that a fault starts, if any."""
    return {"instance_start": fault.instance, "migrate": fault.to}.get(fault.kind, "")


def not_running_at_first(faults: Sequence[PlannedFault]) -> frozenset[str]:
    """Return the instances that a fault starts before any other touches them."""
    return frozenset(
        instance
        for fault in faults
        if (instance := started_by(fault)) and not any(_ends_before(other, instance, fault.at_s) for other in faults)
    )


def plan_fault(plan: DyncastPlan, key: str, keys: FaultKeys, fault: PlannedFault) -> PlannedFault:
    """Resolve a fault of one of Dyncast's kinds. Raises TopologyError naming the key and a near name."""
    own = DyncastFaultKeys.of(keys)
    if own.instance is not None:
        return _of_instance(plan, key, own, own.instance, fault)
    assert own.site is not None
    is_control = own.kind == "control_killed"
    check_name(f"{key}.site: there is no site", own.site, [*plan.sites, *(plan.dispatchers if is_control else ())])
    if not is_control and all(item.site != own.site for item in plan.reported):
        raise TopologyError(f"{key}.site: {own.site!r} has no D-MA, for it has no instances")
    return replace(fault, target=own.site, site=own.site, reach=_reach_of_site(plan, own.site, both=is_control))


def reach_of_cut(plan: DyncastPlan, cut: Collection[frozenset[str]]) -> tuple[Pair, ...]:
    """Return whose flows cross one of these links, or whose metrics do."""
    return tuple(
        (site, item.name)
        for site in plan.sites
        for item in plan.reported
        if any(frozenset(hop) in cut for hop in pairwise(_path(plan, site, item)))
        or frozenset((plan.agent_node(item.site), item.site)) in cut
    )


def _of_instance(
    plan: DyncastPlan, key: str, keys: DyncastFaultKeys, instance: str, fault: PlannedFault
) -> PlannedFault:
    by_name = {item.name: item for item in plan.instances}
    names = [instance] if keys.to is None else [instance, keys.to]
    for part, name in zip(("instance", "to"), names, strict=False):
        check_name(f"{key}.{part}: there is no instance", name, by_name)
    if keys.to is not None and (keys.to == instance or len({by_name[name].service for name in names}) > 1):
        raise TopologyError(f"{key}.to: {keys.to!r} must be another instance of the service of {instance!r}")
    target = instance if keys.to is None else f"{instance} to {keys.to}"
    reach = tuple((site, instance) for site in plan.sites)
    quiet_s = _quiet_s(plan.scenario, by_name[instance].service) if keys.quiet_s is None else keys.quiet_s
    return replace(fault, target=target, instance=instance, to=keys.to or "", quiet_s=quiet_s, reach=reach)


def _path(plan: DyncastPlan, ingress: str, instance: PlannedInstance | PlannedOffer) -> list[str]:
    return [*routing.path(plan.topology, ingress, instance.site), instance.host]


def _reach_of_site(plan: DyncastPlan, site: str, *, both: bool) -> tuple[Pair, ...]:
    """Return who may feel that a site's agent, or (both ways) its D-Router is away."""
    return tuple(
        (ingress, item.name)
        for ingress in plan.sites
        for item in plan.reported
        if item.site == site or (both and ingress == site)
    )


def _quiet_s(scenario: DyncastScenario, service: str) -> float:
    """Return after how long without a session no D-Router has a flow bound to a draining instance.

    It keeps a flow for the timeout after its last packet, and as long again where answers came home since; the switch
    looks about each second; and the D-MA must have said that the instance drains.
    """
    poll_interval_s = scenario.metrics.poll_interval_s or scenario.metrics.interval_s
    return 2 * scenario.services[service].affinity.timeout_s + _SWITCH_LOOKS_S + poll_interval_s


def _ends_before(fault: PlannedFault, instance: str, time_s: float) -> bool:
    return fault.instance == instance and fault.kind != "instance_start" and fault.at_s < time_s
