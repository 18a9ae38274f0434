"""What a network is: frozen descriptions of nodes, links, D-Routers and hosts.

Owns the vocabulary of a topology and its consistency. Knows nothing of Mininet, addresses or
processes. Routers carry IP only; edge routers sit at sites, and hosts hang off them; an access switch may stand
between clients and their edge router. Which roles of each kind there are is `roles`' business.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NoReturn

import networkx as nx

from testbed.errors import InputError
from topologies.roles import CLIENT, ROUTER, Kind, Role, of_sites

_LONGEST_NAME_OCTETS = 200  # a message that names a node has room for 255


class TopologyError(InputError):
    """A topology that cannot be built, with the reason and the way out in one line."""


@dataclass(frozen=True)
class LinkSpec:
    """Impairment of one link, the same in both directions. Zero delay/jitter/loss and None mean: none."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    rate_mbps: float | None = None
    queue_packets: int = 1000

    def __post_init__(self) -> None:
        for key, value in (("delay_ms", self.delay_ms), ("jitter_ms", self.jitter_ms)):
            if not 0 <= value < math.inf:
                raise TopologyError(f"{key} must be >= 0 and finite, not {value}")
        if not 0 <= self.loss_percent <= 100:
            raise TopologyError(f"loss_percent must be in 0..100, not {self.loss_percent}")
        if self.rate_mbps is not None and not 0 < self.rate_mbps < math.inf:
            raise TopologyError(f"rate_mbps must be > 0 (leave it out for no limit), not {self.rate_mbps}")
        if self.queue_packets < 1:
            raise TopologyError(f"queue_packets must be >= 1, not {self.queue_packets}")

    @property
    def is_plain(self) -> bool:
        """Return whether nothing at all is impaired, so that a bare veth pair serves."""
        return not (self.delay_ms or self.jitter_ms or self.loss_percent or self.rate_mbps)


@dataclass(frozen=True)
class Node:
    """One node; `latitude`/`longitude` in degrees where known, for pictures and geographic delay."""

    name: str
    role: Role = ROUTER
    latitude: float | None = None
    longitude: float | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable() or self.name.isspace() or not self.name:
            raise TopologyError(f"node {self.name!r}: a name is made of characters that can be seen, and of spaces")
        if (octets := len(self.name.encode())) > _LONGEST_NAME_OCTETS:
            raise TopologyError(f"node {self.name!r}: a name has at most {_LONGEST_NAME_OCTETS} octets, not {octets}")
        for key, value, most in (("latitude", self.latitude, 90), ("longitude", self.longitude, 180)):
            if value is not None and not -most <= value <= most:
                raise TopologyError(f"node {self.name!r}: {key} must be in -{most}..{most} degrees, not {value}")


@dataclass(frozen=True)
class Link:
    """An undirected link between two named nodes. A host's one link goes to its edge router."""

    a: str
    b: str
    spec: LinkSpec = field(default_factory=LinkSpec)


@dataclass(frozen=True)
class Topology:
    """A checked network. `demands` maps (from, to) router names to a demand in the source's own unit.

    Raises TopologyError on duplicate names, links to unknown nodes, a host that does not hang off
    exactly one edge router, or a disconnected network.
    """

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    demands: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_name: dict[str, Node] = {}
        for node in self.nodes:
            if node.name in by_name:
                raise TopologyError(f"topology {self.name!r}: two nodes are called {node.name!r}")
            by_name[node.name] = node
        if not by_name:
            raise TopologyError(f"topology {self.name!r} has no nodes")
        pairs: set[frozenset[str]] = set()
        labels: set[str] = set()
        for link in self.links:
            for end in (link.a, link.b):
                if end not in by_name:
                    raise TopologyError(
                        f"topology {self.name!r}: link {link.a} - {link.b} names {end!r}, which is no node"
                    )
            pair = frozenset((link.a, link.b))
            if len(pair) == 1:
                raise TopologyError(f"topology {self.name!r}: link from {link.a!r} to itself")
            if pair in pairs:
                raise TopologyError(f"topology {self.name!r}: two links between {link.a!r} and {link.b!r}")
            pairs.add(pair)
            label = f"{link.a} - {link.b}"
            if label in labels:
                raise TopologyError(f"topology {self.name!r}: two links would be called {label!r}; rename a node")
            labels.add(label)
        graph = self.graph()
        for node in self.nodes:
            if node.role.is_host:
                problem = _misplaced(node.role, [by_name[name].role for name in graph[node.name]])
                if problem is not None:
                    raise TopologyError(f"topology {self.name!r}: {node.role.name} {node.name!r} must have {problem}")
        if not nx.is_connected(graph):
            parts = sorted((sorted(part) for part in nx.connected_components(graph)), key=len)
            raise TopologyError(
                f"topology {self.name!r} is disconnected: no path from {parts[0][0]!r} to {parts[-1][0]!r}; add a link"
            )

    def graph(self) -> nx.Graph:
        """Return the network as an undirected graph; edges carry `spec` and `delay_ms`."""
        graph = nx.Graph()
        graph.add_nodes_from((node.name, {"node": node}) for node in self.nodes)
        graph.add_edges_from(
            (link.a, link.b, {"spec": link.spec, "delay_ms": link.spec.delay_ms}) for link in self.links
        )
        return graph

    def node(self, name: str) -> Node:
        """Return the node called `name`; raise TopologyError naming the nearest existing name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise unknown_name(f"topology {self.name!r} has no node", name, (node.name for node in self.nodes))

    def with_role(self, role: Role) -> tuple[Node, ...]:
        """Return the nodes of one role, in order."""
        return tuple(node for node in self.nodes if node.role == role)

    def of_kind(self, kind: Kind) -> tuple[Node, ...]:
        """Return the nodes of one kind, in order."""
        return tuple(node for node in self.nodes if node.role.kind is kind)

    def short_name(self, node: Node) -> str:
        """Return how a node is called beside its site: of host render-1@berlin at berlin, render-1."""
        return node.name.removesuffix(f"@{self.site_of(node.name)}") if node.role.is_host else node.name

    def site_of(self, host: str) -> str:
        """Return the edge router that a host hangs off, by itself or behind an access switch."""
        return self._next_hop(self.switch_of(host) or host, Kind.EDGE) or self._unlinked(host)

    def switch_of(self, host: str) -> str | None:
        """Return the access switch that a client is behind; None if it hangs off its edge router."""
        return self._next_hop(host, Kind.SWITCH)

    def _next_hop(self, name: str, kind: Kind) -> str | None:
        return next((peer.name for peer in self._neighbours.get(name, ()) if peer.role.kind is kind), None)

    @cached_property
    def _neighbours(self) -> Mapping[str, list[Node]]:
        nodes = {node.name: node for node in self.nodes}
        found: dict[str, list[Node]] = {name: [] for name in nodes}
        for link in self.links:
            found[link.a].append(nodes[link.b])
            found[link.b].append(nodes[link.a])
        return found

    def _unlinked(self, host: str) -> NoReturn:
        raise TopologyError(f"topology {self.name!r}: {host!r} has no link to a {of_sites().title}")

    def extended(self, nodes: Iterable[Node], links: Iterable[Link]) -> Topology:
        """Return a checked copy with more nodes and links."""
        return replace(self, nodes=(*self.nodes, *nodes), links=(*self.links, *links))


def _misplaced(role: Role, neighbours: list[Role]) -> str | None:
    """Return what a host must have instead of these neighbours; None if it may have them."""
    edge = of_sites().title
    kinds = [neighbour.kind for neighbour in neighbours if not (role.kind is Kind.SWITCH and neighbour == CLIENT)]
    if role.kind is Kind.SWITCH:
        return None if kinds == [Kind.EDGE] else f"exactly one link to a {edge}, and else to clients only"
    if role == CLIENT and kinds == [Kind.SWITCH]:
        return None
    return None if kinds == [Kind.EDGE] else f"exactly one link, to a {edge}"


def unknown_name(what: str, name: str, known: Iterable[str]) -> TopologyError:
    """Word the error for a name that does not exist, with the closest one that does."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    lowered = {item.lower(): item for item in known}
    if name.lower() in lowered:
        near = [lowered[name.lower()]]
    hint = (
        f"; did you mean {near[0]!r}?"
        if near
        else f"; there are: {', '.join(known[:12])}{' …' if len(known) > 12 else ''}"
    )
    return TopologyError(f"{what} {name!r}{hint}")
