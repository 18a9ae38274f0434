"""Where a run's name server is, and what its names are: from the scenario's `dns` keys and the network.

Pure. A scenario whose services are steered by name (policy `dns_ttl`) has one even if it does not say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.experiment.systems.dyncast.keys.dns import DnsKeys
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from topologies.addressing import AddressPlan
from topologies.roles import Kind
from topologies.spec import Topology, unknown_name

DNS_PORT = 53


@dataclass(frozen=True)
class PlannedNameServer:
    """The name server: its node, and its addresses there, IPv4 first. `steered` are the services it chooses for."""

    node: str
    addresses: tuple[str, ...]
    zone: str
    ttl_s: int
    steered: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its process and its decisions are called."""
        return f"dns@{self.node}"

    def host_name(self, service: str) -> str:
        """Return the name that clients look a service up by."""
        return f"{service}.{self.zone}"


def planned(scenario: DyncastScenario, topology: Topology, addresses: AddressPlan) -> PlannedNameServer | None:
    """Return the name server of a scenario; None if it has none. Raises TopologyError for a node that is not there."""
    steered = tuple(name for name in scenario.services if scenario.policy_of(name) == DNS_TTL)
    if scenario.dns is None and not steered:
        return None
    keys = scenario.dns or DnsKeys()
    node = keys.server or topology.of_kind(Kind.EDGE)[0].name
    known = [node.name for node in topology.nodes]
    if node not in known:
        raise unknown_name("dns.server: there is no node", node, known)
    is_host = topology.node(node).role.is_host
    # A router is spoken to at its identifier, which all others have a route to.
    at_node = addresses.host(node) if is_host else addresses.router_id(node)
    return PlannedNameServer(node, tuple(str(address.ip) for address in at_node), keys.zone, keys.ttl_s, steered)


def resolv_conf(server: PlannedNameServer) -> Iterator[str]:
    """Yield the lines by which a host's own resolver finds the name server."""
    yield f"search {server.zone}"
    yield from (f"nameserver {address}" for address in server.addresses)
