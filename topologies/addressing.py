"""The addresses of a network: deterministic, dual-stack, from the topology alone.

Pure. The plan (n counts from 1):

    site n            10.n.0.0/16          fd00:d:n::/64      D-Router .0.1 / ::1, hosts from .0.10 / ::a on
    router n          172.31.x.y/32        fd00:f::n/128      its identifier, on the loopback interface
    link n            100.64.0.0/10, /31s  fd00:e::/64, /127s between routers and D-Routers
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

from topologies.roles import Kind
from topologies.spec import Topology, TopologyError

_MOST_SITES = 254
_FIRST_HOST = 10
_MOST_HOSTS_PER_SITE = 65_000
_LINKS4 = int(IPv4Address("100.64.0.0"))
_LINKS6 = int(IPv6Address("fd00:e::"))
_ROUTERS4 = int(IPv4Address("172.31.0.0"))
_ROUTERS6 = int(IPv6Address("fd00:f::"))


@dataclass(frozen=True)
class Interfaces:
    """One interface's addresses with their prefix lengths."""

    ipv4: IPv4Interface
    ipv6: IPv6Interface

    def __iter__(self) -> Iterator[IPv4Interface | IPv6Interface]:
        return iter((self.ipv4, self.ipv6))


@dataclass(frozen=True)
class SiteAddresses:
    """A site's local network and its gateway, which is the D-Router."""

    gateway4: IPv4Interface
    gateway6: IPv6Interface
    prefix4: IPv4Network
    prefix6: IPv6Network
    mac: str


@dataclass(frozen=True)
class Station:
    """Where edge routers send steered packets: a host that serves, or the edge router, of a site."""

    node: str
    site: str
    mac: str
    addresses: tuple[IPv4Address | IPv6Address, ...]


class AddressPlan:
    """Who has which address. Raises TopologyError for a topology with more sites than addresses."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._index = {node.name: number for number, node in enumerate(topology.nodes, 1)}
        d_routers = topology.of_kind(Kind.EDGE)
        if len(d_routers) > _MOST_SITES:
            raise TopologyError(
                f"topology {topology.name!r} has {len(d_routers)} sites, but there are addresses for {_MOST_SITES}"
            )
        self._sites = {node.name: _site(number) for number, node in enumerate(d_routers, 1)}
        self._hosts = self._host_addresses()
        self._links = self._link_addresses()

    def site(self, d_router: str) -> SiteAddresses:
        """Return the local network behind a D-Router."""
        return self._sites[d_router]

    def host(self, name: str) -> Interfaces:
        """Return the addresses of a host; those of an instance are its D-BIDs. A Dispatcher has one, too."""
        return self._hosts[name]

    def link(self, a: str, b: str) -> dict[str, Interfaces]:
        """Return the addresses at both ends of an infrastructure link, by node."""
        return self._links[frozenset((a, b))]

    def router_id(self, node: str) -> Interfaces:
        """Return the loopback addresses that identify a router or D-Router."""
        number = self._index[node]
        return Interfaces(
            IPv4Interface((_ROUTERS4 + number, 32)),
            IPv6Interface((_ROUTERS6 + number, 128)),
        )

    def mac(self, node: str, peer: str) -> str:
        """Return the locally administered MAC address of the interface at `node` towards `peer`."""
        return _mac(self._index[node] << 16 | self._index[peer])

    def stations(self) -> list[Station]:
        """Return all hosts that serve, and all edge routers by the address that others know them by."""
        hosts = []
        for node in (node for node in self.topology.nodes if node.role.serves):
            site, addresses = self.topology.site_of(node.name), self.host(node.name)
            hosts.append(Station(node.name, site, self.mac(node.name, site), (addresses.ipv4.ip, addresses.ipv6.ip)))
        d_routers = [Station(name, name, of.mac, (of.gateway4.ip,)) for name, of in self._sites.items()]
        return hosts + d_routers

    def check_d_sid(self, address: IPv4Address | IPv6Address, what: str) -> None:
        """Raise TopologyError, naming what is in the way, if a D-SID cannot be distinguished from a real address."""
        like = "203.0.113.1" if address.version == 4 else "2001:db8::1"
        unusable = (
            address.is_multicast,
            address.is_loopback,
            address.is_unspecified,
            address.is_link_local,
            address.is_reserved,
        )
        if any(unusable):
            raise TopologyError(f"{what}: {address} is no address clients can reach; take one like {like}")
        for host, interfaces in self._hosts.items():
            if address in (interfaces.ipv4.ip, interfaces.ipv6.ip):
                site = self.topology.site_of(host)
                raise TopologyError(
                    f"{what}: {address} is the address of host {host!r} at site {site!r}; "
                    f"take an address outside, like {like}"
                )
        for owner, network in self._networks():
            if address.version == network.version and address in network:
                raise TopologyError(
                    f"{what}: {address} overlaps {network} of {owner}; take an address outside, like {like}"
                )

    def check_d_sid_range(self, range_: IPv4Network | IPv6Network, what: str) -> None:
        """Raise TopologyError, naming who is in the way, if a range of D-SIDs holds real addresses."""
        for owner, network in self._networks():
            if range_.version == network.version and range_.overlaps(network):
                raise TopologyError(f"{what}: {range_} overlaps {network} of {owner}; take a range outside")

    def _networks(self) -> Iterator[tuple[str, IPv4Network | IPv6Network]]:
        for name, site in self._sites.items():
            yield f"site {name!r}", site.prefix4
            yield f"site {name!r}", site.prefix6
        for pair, ends in self._links.items():
            for interface in next(iter(ends.values())):
                yield f"link {' - '.join(sorted(pair))}", interface.network
        for node in self.topology.nodes:
            if not node.role.is_host:
                for interface in self.router_id(node.name):
                    yield f"router {node.name!r}", interface.network

    def _host_addresses(self) -> dict[str, Interfaces]:
        used: dict[str, int] = {}
        found = {}
        for node in self.topology.nodes:
            if node.role.is_host:
                d_router = self.topology.site_of(node.name)
                site = self._sites[d_router]
                offset = used[d_router] = used.get(d_router, _FIRST_HOST - 1) + 1
                if offset >= _FIRST_HOST + _MOST_HOSTS_PER_SITE:
                    raise TopologyError(f"site {d_router!r} has more than {_MOST_HOSTS_PER_SITE} hosts; use more sites")
                found[node.name] = Interfaces(
                    IPv4Interface((int(site.prefix4[offset]), site.prefix4.prefixlen)),
                    IPv6Interface((int(site.prefix6[offset]), site.prefix6.prefixlen)),
                )
        return found

    def _link_addresses(self) -> dict[frozenset[str], dict[str, Interfaces]]:
        hosts = set(self._hosts)
        infrastructure = [link for link in self.topology.links if not {link.a, link.b} & hosts]
        return {
            frozenset((link.a, link.b)): {
                end: Interfaces(
                    IPv4Interface((_LINKS4 + 2 * number + side, 31)),
                    IPv6Interface((_LINKS6 + 2 * number + side, 127)),
                )
                for side, end in enumerate((link.a, link.b))
            }
            for number, link in enumerate(infrastructure)
        }


def _site(number: int) -> SiteAddresses:
    prefix4 = IPv4Network(f"10.{number}.0.0/16")
    prefix6 = IPv6Network(f"fd00:d:{number:x}::/64")
    return SiteAddresses(
        IPv4Interface((int(prefix4[1]), prefix4.prefixlen)),
        IPv6Interface((int(prefix6[1]), prefix6.prefixlen)),
        prefix4,
        prefix6,
        _mac(1 << 32 | number),
    )


def _mac(number: int) -> str:
    return ":".join(f"{octet:02x}" for octet in (0x02, *number.to_bytes(5, "big")))
