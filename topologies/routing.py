"""Shortest paths and the static routes that follow them.

Pure. Paths go by delay, then hops, then name, and there and back are the same: a round-trip time says
something of one path only. Hosts never carry transit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import networkx as nx

from topologies.addressing import AddressPlan
from topologies.spec import Role, Topology, TopologyError

_HOP_NS = 1_000  # breaks ties between equal delays in favour of fewer hops; no delay in use is as short


@dataclass(frozen=True)
class Route:
    """One route of a router: where to, by which neighbour."""

    prefix: IPv4Network | IPv6Network
    next_hop: IPv4Address | IPv6Address
    peer: str


def routes(topology: Topology, plan: AddressPlan) -> dict[str, list[Route]]:
    """Return the routes of every router and D-Router to all sites and router identifiers."""
    found: dict[str, list[Route]] = {}
    paths = _all_paths(topology)
    for source, targets in paths.items():
        found[source] = []
        for target, path in targets.items():
            if target == source:
                continue
            via = plan.link(source, path[1])[path[1]]
            prefixes: list[IPv4Network | IPv6Network] = [item.network for item in plan.router_id(target)]
            if topology.node(target).role is Role.D_ROUTER:
                prefixes += [plan.site(target).prefix4, plan.site(target).prefix6]
            found[source] += [
                Route(prefix, via.ipv4.ip if prefix.version == 4 else via.ipv6.ip, path[1]) for prefix in prefixes
            ]
    return found


def path(topology: Topology, a: str, b: str) -> list[str]:
    """Return the nodes from router or D-Router `a` to `b`, both included."""
    try:
        return list(_all_paths(topology)[a][b])
    except KeyError:
        raise TopologyError(f"topology {topology.name!r}: no routed path between {a!r} and {b!r}") from None


def path_delay_ms(topology: Topology, a: str, b: str) -> float:
    """Return the one-way delay between two routers or D-Routers."""
    nodes = path(topology, a, b)
    graph = topology.graph()
    return float(sum(graph[near][far]["delay_ms"] for near, far in zip(nodes, nodes[1:], strict=False)))


def _all_paths(topology: Topology) -> dict[str, dict[str, list[str]]]:
    links = tuple((link.a, link.b, link.spec.delay_ms) for link in topology.links)
    return _paths(links, tuple(node.name for node in topology.nodes if not node.role.is_host))


@lru_cache(maxsize=8)
def _paths(links: tuple[tuple[str, str, float], ...], routers: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    """Return a path for each ordered pair, that of (b, a) being that of (a, b) turned round.

    Integer weights with a pair-dependent share far below a hop make shortest paths unique, so that each
    prefix of a shortest path is one too and hop-by-hop forwarding follows it.
    """
    graph = nx.Graph()
    graph.add_nodes_from(routers)
    inside = set(routers)
    for number, (a, b, delay_ms) in enumerate(sorted(links)):
        if a in inside and b in inside:
            weight = (round(delay_ms * 1e6) + _HOP_NS) << 64
            graph.add_edge(a, b, weight=weight + pow(3, number, (1 << 54) - 33))
    found: dict[str, dict[str, list[str]]] = {router: {router: [router]} for router in routers}
    for position, source in enumerate(routers):
        reached = nx.single_source_dijkstra_path(graph, source, weight="weight")
        for target in routers[position + 1 :]:
            if target in reached:
                found[source][target] = reached[target]
                found[target][source] = reached[target][::-1]
    return found
