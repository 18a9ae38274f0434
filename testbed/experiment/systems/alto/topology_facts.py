"""What an ALTO server knows of a topology: a PID for each site and router, with the prefixes that it has, and paths.

Pure. Paths are those that packets take (`topologies.routing`). What follows from it is the business of
`testbed.alto.network`; a server that runs in the network gets it in its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from testbed.alto.network.facts import KnownLink, KnownNode, NetworkFacts
from testbed.alto.network.static_knowledge import DEFAULT_PID
from testbed.net.addresses import Network
from topologies import routing
from topologies.addressing import AddressPlan
from topologies.roles import Kind
from topologies.spec import Node, Topology

_NOT_IN_PIDS = re.compile(r"[^0-9A-Za-z:@_-]")
_LONGEST_PID = 64


def pid_names(topology: Topology) -> dict[str, str]:
    """Return the PID of each router and edge router: its name, as far as a PID can be called so."""
    found: dict[str, str] = {}
    taken = {DEFAULT_PID}
    for node in _routers(topology):
        base = _NOT_IN_PIDS.sub("_", node.name)[:_LONGEST_PID]
        name, number = base, 2
        while name in taken:
            suffix = f"-{number}"
            name, number = base[: _LONGEST_PID - len(suffix)] + suffix, number + 1
        found[node.name] = name
        taken.add(name)
    return found


def facts_of(topology: Topology, addresses: AddressPlan) -> NetworkFacts:
    """Return what an operator of a topology knows of it."""
    pids = pid_names(topology)
    nodes = tuple(
        KnownNode(node.name, pids[node.name], _prefixes(node, addresses), _properties(topology, node))
        for node in _routers(topology)
    )
    links = tuple(
        KnownLink(link.a, link.b, link.spec.delay_ms, link.spec.rate_mbps)
        for link in topology.links
        if link.a in pids and link.b in pids
    )
    next_hops = {
        source: {target: path[1] for target, path in targets.items() if target != source}
        for source, targets in routing.paths(topology).items()
    }
    return NetworkFacts(nodes, links, next_hops, dict(_nodes_by_address(topology, addresses)))


def _routers(topology: Topology) -> list[Node]:
    return [node for node in topology.nodes if not node.role.is_host]


def _prefixes(node: Node, addresses: AddressPlan) -> tuple[Network, ...]:
    own = addresses.router_id(node.name)
    prefixes: tuple[Network, ...] = (own.ipv4.network, own.ipv6.network)
    if node.role.kind is not Kind.EDGE:
        return prefixes
    site = addresses.site(node.name)
    return (*prefixes, site.prefix4, site.prefix6)


def _properties(topology: Topology, node: Node) -> dict[str, str]:
    kind = "site" if node.role.kind is Kind.EDGE else "router"
    said = {".name": node.name, ".kind": kind}
    if node.latitude is not None and node.longitude is not None:
        said |= {".latitude": f"{node.latitude:g}", ".longitude": f"{node.longitude:g}"}
    if kind == "site":
        hosts = (host for host in topology.nodes if host.role.is_host and host.role.kind is not Kind.SWITCH)
        said[".hosts"] = str(sum(topology.site_of(host.name) == node.name for host in hosts))
    return said


def _nodes_by_address(topology: Topology, addresses: AddressPlan) -> Iterator[tuple[str, str]]:
    for node in topology.nodes:
        of = addresses.host(node.name) if node.role.is_host else addresses.router_id(node.name)
        yield f"ipv4:{of.ipv4.ip}", node.name
        yield f"ipv6:{of.ipv6.ip}", node.name
        if node.role.kind is Kind.EDGE:
            site = addresses.site(node.name)
            yield f"ipv4:{site.prefix4}", node.name
            yield f"ipv6:{site.prefix6}", node.name
