"""Shortest paths and the static routes that follow them.

Pure. Paths go by delay, then by hops, then by a fixed draw among the links, and there and back are the same:
a round-trip time says something of one path only. Hosts never carry transit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise

import networkx as nx

from topologies.addressing import AddressPlan
from topologies.roles import Kind
from topologies.spec import Topology, unknown_name

# A link's weight is one integer of three fields: delay in ns, then one hop, then the draw. The fields are wide enough
# for the sum along any path.
_DELAY_SHIFT = 96
_HOP_SHIFT = 80
_DRAW_BYTES = 8


@dataclass(frozen=True)
class Route:
    """One route of a router: where to, by which neighbour."""

    prefix: IPv4Network | IPv6Network
    next_hop: IPv4Address | IPv6Address
    peer: str


def routes(topology: Topology, plan: AddressPlan) -> dict[str, list[Route]]:
    """Return the routes of every router and D-Router to all sites and router identifiers."""
    found: dict[str, list[Route]] = {}
    prefixes = {router: _prefixes(topology, plan, router) for router in paths(topology)}
    for source, targets in paths(topology).items():
        found[source] = []
        for target, path in targets.items():
            if target == source:
                continue
            via = plan.link(source, path[1])[path[1]]
            found[source] += [
                Route(prefix, via.ipv4.ip if prefix.version == 4 else via.ipv6.ip, path[1])
                for prefix in prefixes[target]
            ]
    return found


def path(topology: Topology, a: str, b: str) -> list[str]:
    """Return the nodes from router or D-Router `a` to `b`, both included. Raises TopologyError for any other node."""
    found = paths(topology)
    for end in (a, b):
        if end not in found:
            raise unknown_name(f"topology {topology.name!r} has no router or D-Router", end, found)
    return list(found[a][b])


def path_delay_ms(topology: Topology, a: str, b: str) -> float:
    """Return the one-way delay between two routers or D-Routers."""
    nodes = path(topology, a, b)
    graph = topology.graph()
    return float(sum(graph[near][far]["delay_ms"] for near, far in pairwise(nodes)))


def _prefixes(topology: Topology, plan: AddressPlan, router: str) -> list[IPv4Network | IPv6Network]:
    prefixes: list[IPv4Network | IPv6Network] = [item.network for item in plan.router_id(router)]
    if topology.node(router).role.kind is Kind.EDGE:
        prefixes += [plan.site(router).prefix4, plan.site(router).prefix6]
    return prefixes


def paths(topology: Topology) -> Mapping[str, Mapping[str, list[str]]]:
    """Return the path of each ordered pair of routers and D-Routers, that to itself included."""
    links = tuple((link.a, link.b, link.spec.delay_ms) for link in topology.links)
    return _paths(links, tuple(node.name for node in topology.nodes if not node.role.is_host))


@lru_cache(maxsize=8)
def _paths(links: tuple[tuple[str, str, float], ...], routers: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    """Return a path for each ordered pair, that of (b, a) being that of (a, b) turned round.

    The draw makes shortest paths unique, so that each part of a shortest path is one too and hop-by-hop forwarding
    follows it. It depends on the names of a link's ends only: sites attached elsewhere do not move a path.
    """
    graph = nx.Graph()
    graph.add_nodes_from(routers)
    inside = set(routers)
    for a, b, delay_ms in links:
        if a in inside and b in inside:
            delay_ns = round(delay_ms * 1e6)
            graph.add_edge(a, b, weight=(delay_ns << _DELAY_SHIFT) + (1 << _HOP_SHIFT) + _draw(a, b))
    found: dict[str, dict[str, list[str]]] = {router: {router: [router]} for router in routers}
    for position, source in enumerate(routers):
        reached = nx.single_source_dijkstra_path(graph, source, weight="weight")
        for target in routers[position + 1 :]:
            found[source][target] = reached[target]
            found[target][source] = reached[target][::-1]
    return found


def _draw(a: str, b: str) -> int:
    ends = repr(sorted((a, b))).encode()
    return int.from_bytes(blake2b(ends, digest_size=_DRAW_BYTES).digest(), "big")
