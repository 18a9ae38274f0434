"""Faults resolved against the network: what each breaks, and whose flows that can concern.

Pure. Owns the check of names, and the reach of a fault: the pairs of ingress site and instance whose flows it may
break, for the analysis. Performs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from testbed.experiment.scenario.fault_keys import FaultKeys
from topologies import routing
from topologies.spec import Role, Topology, TopologyError, unknown_name


@dataclass(frozen=True)
class PlannedFault:
    """A fault whose names exist. `links` are those that it cuts; `reach` is (ingress site, instance) each."""

    number: int
    kind: str
    target: str
    at_s: float
    until_s: float | None = None
    instance: str = ""
    to: str = ""
    site: str = ""
    quiet_s: float = 0.0
    links: tuple[tuple[str, str], ...] = ()
    reach: tuple[tuple[str, str], ...] = ()

    @property
    def starts(self) -> str:
        """The instance that it starts, if any."""
        return {"instance_start": self.instance, "migrate": self.to}.get(self.kind, "")


@dataclass(frozen=True)
class PlacedInstance:
    """What a fault must know of an instance."""

    host: str
    site: str
    service: str
    quiet_s: float = 0.0  # without a session for so long, and no D-Router has a flow bound to it


def plan_faults(
    faults: Sequence[FaultKeys], topology: Topology, instances: Mapping[str, PlacedInstance], duration_s: float
) -> tuple[PlannedFault, ...]:
    """Resolve the faults of a scenario. Raises TopologyError naming the key and a near name."""
    planner = _Planner(topology, instances, duration_s)
    return tuple(planner.plan(number, keys) for number, keys in enumerate(faults))


def not_running_at_first(faults: Sequence[PlannedFault]) -> frozenset[str]:
    """Return the instances that a fault starts before any other touches them."""
    return frozenset(
        fault.starts
        for fault in faults
        if fault.starts and not any(_ends_before(other, fault.starts, fault.at_s) for other in faults)
    )


def _ends_before(fault: PlannedFault, instance: str, time_s: float) -> bool:
    return fault.instance == instance and fault.kind != "instance_start" and fault.at_s < time_s


class _Planner:
    def __init__(self, topology: Topology, instances: Mapping[str, PlacedInstance], duration_s: float) -> None:
        self._topology = topology
        self._instances = instances
        self._duration_s = duration_s
        self._sites = [node.name for node in topology.with_role(Role.D_ROUTER)]
        self._dispatchers = [node.name for node in topology.with_role(Role.DISPATCHER)]
        agents = {topology.d_router_of(node.name): node.name for node in topology.with_role(Role.AGENT)}
        self._agent_links = {site: frozenset((name, site)) for site, name in agents.items()}

    def plan(self, number: int, keys: FaultKeys) -> PlannedFault:
        key = f"faults[{number}]"
        if keys.at_s >= self._duration_s:
            raise TopologyError(f"{key}.at_s: {keys.at_s:g} is after the load (duration_s is {self._duration_s:g})")
        fault = PlannedFault(number, keys.kind, "", keys.at_s, keys.until_s)
        if keys.instance is not None:
            return self._of_instance(key, keys, fault)
        if keys.site is not None:
            controlled = [*self._sites, *self._dispatchers] if keys.kind == "control_killed" else self._sites
            self._known(f"{key}.site: there is no site", keys.site, controlled)
            fault = replace(fault, target=keys.site, site=keys.site)
            if keys.kind == "agent_silent" and all(item.site != keys.site for item in self._instances.values()):
                raise TopologyError(f"{key}.site: {keys.site!r} has no D-MA, for it has no instances")
            if keys.kind == "egress_unreachable":
                return self._cutting(fault, self._links_around({keys.site}))
            return replace(fault, reach=self._reach_of_site(keys.site, both=keys.kind == "control_killed"))
        if keys.link is not None:
            return self._cutting(replace(fault, target=" - ".join(keys.link)), (self._link(key, *keys.link),))
        assert keys.nodes is not None
        inside = self._nodes(key, keys.nodes)
        links = self._links_around(inside)
        if not links:
            raise TopologyError(f"{key}.nodes: they are the whole network; there is no link to cut")
        return self._cutting(replace(fault, target=", ".join(keys.nodes)), links)

    def _of_instance(self, key: str, keys: FaultKeys, fault: PlannedFault) -> PlannedFault:
        assert keys.instance is not None
        names = [keys.instance] if keys.to is None else [keys.instance, keys.to]
        for part, name in zip(("instance", "to"), names, strict=False):
            self._known(f"{key}.{part}: there is no instance", name, self._instances)
        if keys.to is not None:
            services = {self._instances[name].service for name in names}
            if len(services) > 1 or keys.to == keys.instance:
                raise TopologyError(f"{key}.to: {keys.to!r} must be another instance of the service of {names[0]!r}")
        target = keys.instance if keys.to is None else f"{keys.instance} to {keys.to}"
        reach = tuple((site, keys.instance) for site in self._sites)
        quiet_s = self._instances[keys.instance].quiet_s if keys.quiet_s is None else keys.quiet_s
        return replace(fault, target=target, instance=keys.instance, to=keys.to or "", quiet_s=quiet_s, reach=reach)

    def _cutting(self, fault: PlannedFault, links: tuple[tuple[str, str], ...]) -> PlannedFault:
        cut = {frozenset(link) for link in links}
        return replace(
            fault,
            links=links,
            reach=tuple(
                (site, name)
                for site in self._sites
                for name, item in self._instances.items()
                if any(frozenset(hop) in cut for hop in pairwise(self._path(site, item)))
                or self._agent_links.get(item.site) in cut
            ),
        )

    def _path(self, ingress: str, instance: PlacedInstance) -> list[str]:
        return [*routing.path(self._topology, ingress, instance.site), instance.host]

    def _reach_of_site(self, site: str, *, both: bool) -> tuple[tuple[str, str], ...]:
        """Return who may feel that a site's agent, or (both ways) its D-Router is away."""
        return tuple(
            (ingress, name)
            for ingress in self._sites
            for name, item in self._instances.items()
            if item.site == site or (both and ingress == site)
        )

    def _links_around(self, inside: set[str]) -> tuple[tuple[str, str], ...]:
        hosts = {node.name for node in self._topology.nodes if node.role.is_host}
        return tuple(
            (link.a, link.b)
            for link in self._topology.links
            if (link.a in inside) != (link.b in inside) and not hosts & {link.a, link.b}
        )

    def _link(self, key: str, a: str, b: str) -> tuple[str, str]:
        names = [node.name for node in self._topology.nodes]
        for name in (a, b):
            self._known(f"{key}.link: there is no node", name, names)
        for link in self._topology.links:
            if {link.a, link.b} == {a, b}:
                return link.a, link.b
        peers = sorted(link.b if link.a == a else link.a for link in self._topology.links if a in (link.a, link.b))
        raise TopologyError(f"{key}.link: no link between {a!r} and {b!r}; {a!r} is linked to {', '.join(peers)}")

    def _nodes(self, key: str, names: Sequence[str]) -> set[str]:
        known = [node.name for node in self._topology.nodes if not node.role.is_host]
        for name in names:
            self._known(f"{key}.nodes: there is no site or router", name, known)
        return set(names)

    def _known(self, what: str, name: str, known: Sequence[str] | Mapping[str, object]) -> None:
        if name not in known:
            raise unknown_name(what, name, known)
