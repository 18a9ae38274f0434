"""What is connected to what, under which name and address: the plan of an emulated network.

Pure: turns a topology and its address plan into interface names, links, bridges and the commands that
configure each node. Touches nothing; `network` carries it out. Names: in a namespace `eth0` (a host's only
interface), `r<n>` (a router's link to node n of the topology, counted from 1 as in its addresses), `uplink` (a
D-Router's way to its bridge; a Dispatcher's is `eth0`, as a host's); in the root namespace `dy<tag>-p<n>` (bridge
port n) and `dy<tag>-b<n>` (bridge n).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from itertools import count

from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches.bridges import UPLINK_PORT, Bridge
from testbed.emulation.switches.tunnels import UNDERLAY_MTU_BYTES, Tunnel
from testbed.net.addresses import Address, Network
from topologies.addressing import AddressPlan
from topologies.roles import Kind
from topologies.routing import Route, routes
from topologies.spec import Link, LinkSpec, Node, Topology

HOST_INTERFACE = "eth0"
UPLINK_INTERFACE = "uplink"

# Set as defaults before a namespace has interfaces, so that each new interface inherits them.
_EVERY_NODE = {
    "ipv6/conf/{scope}/disable_ipv6": 0,  # the machine may have it switched off in new namespaces, as Docker has
    # Neither filter nor redirect: steered packets come back out of the interface they came in by.
    "ipv4/conf/{scope}/rp_filter": 0,
    "ipv4/conf/{scope}/send_redirects": 0,
    "ipv4/conf/{scope}/accept_redirects": 0,
    "ipv6/conf/{scope}/accept_redirects": 0,
    # All addresses are ours and unique: no waiting for duplicates, no searching for routers.
    "ipv6/conf/{scope}/accept_dad": 0,
    "ipv6/conf/{scope}/dad_transmits": 0,
    "ipv6/conf/{scope}/accept_ra": 0,
    "ipv6/conf/{scope}/autoconf": 0,
    "ipv6/conf/{scope}/router_solicitations": 0,
}
# Answers come from the D-SID, which a D-Router takes for its own in order to refuse what nobody takes; and an instance
# that has a D-SID of many keeps quiet about it on its link.
_WITH_TUNNELS = {
    "ipv4/conf/{scope}/accept_local": 1,
    "ipv4/conf/{scope}/arp_ignore": 1,
    "ipv4/conf/{scope}/arp_announce": 2,
}
# Routers answer each packet they have no way for: who sends it may be one of many clients.
_ROUTERS = {
    "ipv4/icmp_ratelimit": 0,
    "ipv6/icmp/ratelimit": 0,
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/default/forwarding": 1,
}
# Some 800 requests a second use up a client's ports before the first of them is free again.
# Programs of a scenario serve at any port without being root.
_HOSTS = {"ipv4/tcp_tw_reuse": 1, "ipv4/ip_unprivileged_port_start": 0}
_REFUSAL_PREFERENCE, _RANGE_PREFERENCE, _LOCAL_PREFERENCE = 100, 105, 110


@dataclass(frozen=True)
class End:
    """One end of a link: an interface of a node, or of the root namespace (`node` None)."""

    node: str | None
    interface: str
    mac: str | None = None


@dataclass(frozen=True)
class Wire:
    """One link to create; `label` names it in statistics."""

    a: End
    b: End
    spec: LinkSpec
    label: str


@dataclass(frozen=True)
class Interface:
    """A configured interface of a node."""

    node: str
    name: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]


@dataclass(frozen=True)
class Wiring:
    """Everything `network` carries out, by node or D-Router name.

    `kernel_settings`: values of files under /proc/sys/net; `ip_commands`, `root_commands`: the text of an `ip -batch`.
    """

    wires: tuple[Wire, ...]
    bridges: Mapping[str, Bridge]
    interfaces: tuple[Interface, ...]
    kernel_settings: Mapping[str, Mapping[str, int]]
    ip_commands: Mapping[str, str]
    root_commands: str
    tunnels: Mapping[str, Tunnel]


def link_label(link: Link) -> str:
    """Return the label of a topology's link."""
    return f"{link.a} - {link.b}"


def wire(topology: Topology, plan: AddressPlan, tag: RunTag, *, tunnels: bool = False) -> Wiring:
    """Plan the network under the names of one run, with tunnels between all D-Routers if wanted."""
    return _Planner(topology, plan, tag, tunnels).wiring()


class _Planner:
    """One plan in the making: the topology, its addresses, and what is looked up in them again and again."""

    def __init__(self, topology: Topology, plan: AddressPlan, tag: RunTag, tunnels: bool) -> None:
        self.topology = topology
        self.has_tunnels = tunnels
        self.plan = plan
        self.nodes = {node.name: node for node in topology.nodes}
        self.number = {node.name: number for number, node in enumerate(topology.nodes, 1)}
        self.neighbours = {name: list(peers) for name, peers in topology.graph().adjacency()}
        self.bridges = self._bridges(tag)

    def wiring(self) -> Wiring:
        interfaces = {name: self._interfaces(node) for name, node in self.nodes.items()}
        paths = routes(self.topology, self.plan)
        return Wiring(
            wires=(*self._uplinks(), *map(self._wire, self.topology.links)),
            bridges=self.bridges,
            interfaces=tuple(interface for group in interfaces.values() for interface in group),
            kernel_settings={name: self._kernel_settings(node) for name, node in self.nodes.items()},
            ip_commands={
                name: "".join(
                    f"{line}\n"
                    for line in (
                        *self._address_commands(node, interfaces[name]),
                        *(self._host_routes(node) if node.role.is_host else self._router_routes(node, paths[name])),
                    )
                )
                for name, node in self.nodes.items()
            },
            root_commands=_root_commands(self.bridges),
            tunnels=self._tunnels(),
        )

    # Names --------------------------------------------------------------------------------------------------------

    def _bridges(self, tag: RunTag) -> dict[str, Bridge]:
        bridges: dict[str, Bridge] = {}
        root_port = count()
        stations = self.plan.stations() if self.has_tunnels else []
        for number, d_router in enumerate(self.topology.of_kind(Kind.EDGE)):
            hosts = [name for name in self.neighbours[d_router.name] if self.nodes[name].role.is_host]
            ports = {
                host: UPLINK_PORT + 1 + index for index, host in enumerate(sorted(hosts, key=self.number.__getitem__))
            }
            site = self.plan.site(d_router.name)
            tunnel_port = UPLINK_PORT + 1 + len(ports) if self.has_tunnels else None
            bridges[d_router.name] = Bridge(
                name=tag.bridge(number),
                datapath_id=number + 1,  # zero is no valid datapath id
                uplink_port=UPLINK_PORT,
                ports=ports,
                interfaces={
                    port: tag.port(next(root_port))
                    for port in (UPLINK_PORT, *ports.values(), tunnel_port)
                    if port is not None
                },
                d_router=d_router.name,
                prefixes=(str(site.prefix4), str(site.prefix6)),
                tunnel_port=tunnel_port,
                stations={item.mac: item.addresses for item in stations if item.site == d_router.name},
            )
        for number, dispatcher in enumerate(self.topology.of_kind(Kind.SWITCH), len(bridges)):
            ports = self._dispatcher_ports(dispatcher.name)
            bridges[dispatcher.name] = Bridge(
                name=tag.bridge(number),
                datapath_id=number + 1,
                uplink_port=UPLINK_PORT,
                ports=ports,
                interfaces={port: tag.port(next(root_port)) for port in ports.values()},
                d_router=dispatcher.name,
            )
        return bridges

    def _dispatcher_ports(self, dispatcher: str) -> dict[str, int]:
        """Return the ports of a Dispatcher's bridge: to its CFN node, to its own namespace, to its clients."""
        d_router = self.topology.site_of(dispatcher)
        clients = sorted(set(self.neighbours[dispatcher]) - {d_router}, key=self.number.__getitem__)
        return {name: UPLINK_PORT + index for index, name in enumerate([d_router, dispatcher, *clients])}

    def _tunnels(self) -> dict[str, Tunnel]:
        return {
            d_router: Tunnel(
                interface=bridge.interfaces[bridge.tunnel_port],
                local=str(self.plan.site(d_router).gateway4.ip),
                behind={
                    station.mac: str(self.plan.site(station.site).gateway4.ip)
                    for station in self.plan.stations()
                    if station.site != d_router
                },
            )
            for d_router, bridge in self.bridges.items()
            if bridge.tunnel_port is not None
        }

    def _router_interface(self, peer: str) -> str:
        return f"r{self.number[peer]}"

    def _router_peers(self, router: str) -> list[str]:
        return [peer for peer in self.neighbours[router] if not self.nodes[peer].role.is_host]

    def _kernel_settings(self, node: Node) -> dict[str, int]:
        by_scope = _EVERY_NODE | (_WITH_TUNNELS if self.has_tunnels else {})
        settings = {path.format(scope=scope): value for path, value in by_scope.items() for scope in ("all", "default")}
        return settings | (_HOSTS if node.role.is_host else _ROUTERS)

    # Links --------------------------------------------------------------------------------------------------------

    def _uplinks(self) -> Iterable[Wire]:
        for name, bridge in self.bridges.items():
            if self.nodes[name].role.kind is Kind.SWITCH:
                inside, port = self._host_end(name), bridge.ports[name]
            else:
                inside, port = End(name, UPLINK_INTERFACE, self.plan.site(name).mac), UPLINK_PORT
            yield Wire(inside, End(None, bridge.interfaces[port]), LinkSpec(), f"{name} uplink")

    def _wire(self, link: Link) -> Wire:
        return Wire(self._end(link.a, link.b), self._end(link.b, link.a), link.spec, link_label(link))

    def _end(self, name: str, peer: str) -> End:
        bridge = self.bridges.get(name)
        if bridge is not None and peer in bridge.ports:
            return End(None, bridge.interfaces[bridge.ports[peer]])
        if self.nodes[name].role.is_host:
            return self._host_end(name)
        return End(name, self._router_interface(peer), self.plan.mac(name, peer))

    def _host_end(self, host: str) -> End:
        return End(host, HOST_INTERFACE, self.plan.mac(host, self.topology.site_of(host)))

    # Configuration ------------------------------------------------------------------------------------------------

    def _interfaces(self, node: Node) -> list[Interface]:
        if node.role.is_host:
            mac = self.plan.mac(node.name, self.topology.site_of(node.name))
            return [Interface(node.name, HOST_INTERFACE, mac, tuple(self.plan.host(node.name)))]
        found = []
        if node.role.kind is Kind.EDGE:
            site = self.plan.site(node.name)
            found.append(Interface(node.name, UPLINK_INTERFACE, site.mac, (site.gateway4, site.gateway6)))
        for peer in self._router_peers(node.name):
            mac, ends = self.plan.mac(node.name, peer), self.plan.link(node.name, peer)
            found.append(Interface(node.name, self._router_interface(peer), mac, tuple(ends[node.name])))
        return found

    def _address_commands(self, node: Node, interfaces: Iterable[Interface]) -> Iterable[str]:
        yield "link set dev lo up"
        if not node.role.is_host:
            yield from (_address("lo", address) for address in self.plan.router_id(node.name))
        for interface in interfaces:
            yield from (_address(interface.name, address) for address in interface.addresses)
            if self.has_tunnels and interface.name not in (HOST_INTERFACE, UPLINK_INTERFACE):
                yield f"link set dev {interface.name} mtu {UNDERLAY_MTU_BYTES}"
            yield f"link set dev {interface.name} up"

    def _host_routes(self, host: Node) -> Iterable[str]:
        site = self.plan.site(self.topology.site_of(host.name))
        yield f"route add default via {site.gateway4.ip}"
        yield f"route add ::/0 via {site.gateway6.ip}"

    def _router_routes(self, router: Node, paths: Iterable[Route]) -> Iterable[str]:
        for peer in self._router_peers(router.name):
            # Routers know their neighbours from the start, as routers with a routing protocol do; else the first
            # packet on each link would pay for a resolution, a full round trip of that link.
            mac, name = self.plan.mac(peer, router.name), self._router_interface(peer)
            for address in self.plan.link(router.name, peer)[peer]:
                yield f"neighbour add {address.ip} lladdr {mac} dev {name} nud permanent"
        # A router speaks from its router id, which all can reach, not from the address of a link.
        source = {address.version: address.ip for address in self.plan.router_id(router.name)}
        for path in paths:
            way = f"via {path.next_hop} dev {self._router_interface(path.peer)}"
            yield f"route add {path.prefix} {way} src {source[path.prefix.version]}"


def refusal_commands(refusals: Mapping[Address, str], ranges: Collection[Network] = ()) -> Iterable[str]:
    """Yield the commands, for addresses of one family, that make a router refuse what nobody takes.

    The router takes it for its own, and nobody listens: TCP is answered RST, UDP "port unreachable", of all ICMP errors
    the one that any UDP socket learns of. What shall be `unreachable` instead meets a rule first, and so does what is
    to any other address of `ranges`, which a router answers for as a whole.
    """
    if refusals or ranges:
        yield f"rule add lookup local pref {_LOCAL_PREFERENCE}"
        yield "rule del pref 0"
    for address, how in refusals.items():
        icmp = "icmp" if address.version == 4 else "ipv6-icmp"
        for protocol in (icmp, "tcp") if how == "unreachable" else (icmp,):
            yield f"rule add to {address} ipproto {protocol} unreachable pref {_REFUSAL_PREFERENCE}"
        if how == "reset" and ranges:
            yield f"rule add to {address} ipproto tcp lookup local pref {_REFUSAL_PREFERENCE}"
        yield f"route add local {address} dev lo table local"
    for network in ranges:
        for protocol in ("icmp" if network.version == 4 else "ipv6-icmp", "tcp"):
            yield f"rule add to {network} ipproto {protocol} unreachable pref {_RANGE_PREFERENCE}"
        yield f"route add local {network} dev lo table local"


def offer_commands(d_sids: Iterable[Address]) -> Iterable[str]:
    """Yield the commands that make a host take packets to D-SIDs for its own, and never speak from one unasked."""
    for d_sid in d_sids:
        # IPv6 would choose among all addresses of the host, but for those out of date.
        out_of_date = " nodad preferred_lft 0" if d_sid.version == 6 else ""
        yield f"address add {d_sid}/{d_sid.max_prefixlen} dev lo{out_of_date}"


def _root_commands(bridges: Mapping[str, Bridge]) -> str:
    # The machine's own IP stack must not take part in the sites' networks: it would answer ARP for its
    # addresses, should they be in use there too, and send router solicitations.
    ports = [interface for bridge in bridges.values() for interface in bridge.interfaces.values()]
    return "".join(f"link set dev {port} arp off addrgenmode none\n" for port in ports)


def _address(interface: str, address: IPv4Interface | IPv6Interface) -> str:
    # Without `nodad` an IPv6 address is tentative for a moment, and no route may name it as its source.
    return f"address add {address} dev {interface}{' nodad' if address.version == 6 else ''}"
