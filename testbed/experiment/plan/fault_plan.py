"""Faults resolved against the network: what each breaks, and whose flows that can concern.

Pure. Owns the faults of links, which no system needs to know of; each system plans the kinds that it adds, and says
what of it a cut reaches. Performs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.system import systems
from topologies.spec import Topology, TopologyError, unknown_name

if TYPE_CHECKING:
    from testbed.experiment.plan.plan import Plan

Ends = tuple[str, str]


def plan_faults(plan: Plan) -> tuple[PlannedFault, ...]:
    """Resolve the faults of a scenario. Raises TopologyError naming the key and a near name."""
    return tuple(_planned(plan, number, keys) for number, keys in enumerate(plan.scenario.faults))


def check_name(what: str, name: str, known: Collection[str]) -> None:
    """Raise TopologyError, with a near name, for one that is not known."""
    if name not in known:
        raise unknown_name(what, name, known)


def _planned(plan: Plan, number: int, keys: FaultKeys) -> PlannedFault:
    key, duration_s = f"faults[{number}]", plan.scenario.duration_s
    if keys.at_s >= duration_s:
        raise TopologyError(f"{key}.at_s: {keys.at_s:g} is after the load (duration_s is {duration_s:g})")
    fault = PlannedFault(number, keys.kind, "", keys.at_s, keys.until_s)
    for system in systems():
        if keys.kind in system.fault_kinds:
            return system.plan_fault(plan, key, keys, fault)
    if keys.kind == "link_degraded":
        return _reaching(plan, *_degraded(plan, key, keys, fault))
    return _reaching(plan, *_cut(plan, key, keys, fault))


def _degraded(plan: Plan, key: str, keys: FaultKeys, fault: PlannedFault) -> tuple[PlannedFault, tuple[Ends, ...]]:
    assert keys.link is not None
    a, b = _link(plan.topology, key, *keys.link)
    spec = next(link.spec for link in plan.topology.links if (link.a, link.b) == (a, b))
    if spec.is_plain:
        raise TopologyError(
            f"{key}.link: nothing impairs the link between {a!r} and {b!r}, so it is made without what could change; "
            "state a delay or a rate of it"
        )
    degraded = replace(
        spec,
        delay_ms=spec.delay_ms if keys.delay_ms is None else keys.delay_ms,
        loss_percent=spec.loss_percent if keys.loss_percent is None else keys.loss_percent,
    )
    return replace(fault, target=" - ".join(keys.link), degraded=degraded), ((a, b),)


def _cut(plan: Plan, key: str, keys: FaultKeys, fault: PlannedFault) -> tuple[PlannedFault, tuple[Ends, ...]]:
    if keys.site is not None:
        check_name(f"{key}.site: there is no site", keys.site, plan.sites)
        return replace(fault, target=keys.site, site=keys.site), _links_around(plan.topology, {keys.site})
    if keys.link is not None:
        return replace(fault, target=" - ".join(keys.link)), (_link(plan.topology, key, *keys.link),)
    assert keys.nodes is not None
    links = _links_around(plan.topology, _nodes(plan.topology, key, keys.nodes))
    if not links:
        raise TopologyError(f"{key}.nodes: they are the whole network; there is no link to cut")
    return replace(fault, target=", ".join(keys.nodes)), links


def _reaching(plan: Plan, fault: PlannedFault, links: tuple[Ends, ...]) -> PlannedFault:
    cut = {frozenset(link) for link in links}
    reach = tuple(pair for system in systems() for pair in system.reach_of_cut(plan, cut))
    return replace(fault, links=links, reach=reach)


def _links_around(topology: Topology, inside: Collection[str]) -> tuple[Ends, ...]:
    hosts = {node.name for node in topology.nodes if node.role.is_host}
    return tuple(
        (link.a, link.b)
        for link in topology.links
        if (link.a in inside) != (link.b in inside) and not hosts & {link.a, link.b}
    )


def _link(topology: Topology, key: str, a: str, b: str) -> Ends:
    names = [node.name for node in topology.nodes]
    for name in (a, b):
        check_name(f"{key}.link: there is no node", name, names)
    for link in topology.links:
        if {link.a, link.b} == {a, b}:
            return link.a, link.b
    peers = sorted(link.b if link.a == a else link.a for link in topology.links if a in (link.a, link.b))
    raise TopologyError(f"{key}.link: no link between {a!r} and {b!r}; {a!r} is linked to {', '.join(peers)}")


def _nodes(topology: Topology, key: str, names: Iterable[str]) -> set[str]:
    known = [node.name for node in topology.nodes if not node.role.is_host]
    for name in names:
        check_name(f"{key}.nodes: there is no site or router", name, known)
    return set(names)
