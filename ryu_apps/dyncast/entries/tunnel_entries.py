"""OpenFlow 1.3 entries of services steered by tunnel: the D-SID stays in the packet up to the instance.

Words matches and actions, as `flow_entries` does for rewriting; which flow goes where is decided elsewhere. The
D-Router routes a steered packet (one hop less to live) by writing the MAC address of its receiver; the tunnel device
knows by that address which egress to send it to. All entries live in table 0, among those of `flow_entries`:

    priority  match                                    actions
    400       from the tunnel, to an instance here     out of its port
    200 + 2n  flow identifier, to the D-SID            MAC address of the station, out of its port or the tunnel
    200 + 2n  the same turned round, from the D-SID    NORMAL: counts what comes home, and rewrites nothing
    80        from the tunnel, a packet was too big    all other ports: the kernel says so of what was to go through it
    75        from the tunnel, anything else           dropped: a tunnel carries steered packets alone

From the tunnel to the D-Router itself comes what is for the egress to decide: a flow that it has bound, or, at priority
100, the first packet of one.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from ryu_apps.dyncast.config.tunnel import Station, TunnelConfig
from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.net.addresses import Address

_DELIVERY_PRIORITY = 400
_TOO_BIG_PRIORITY, _DROP_PRIORITY = 80, 75
_REMEMBERED = 4096  # stations of one D-Router; there may be more


class TunnelEntries:
    """The entries of one D-Router; without a tunnel, there are none.

    An agent may report an instance that is no station: flows bound to it get no entry, and `counters` says so.
    """

    def __init__(self, tunnel: TunnelConfig | None, d_sids: frozenset[Address], counters: Counter[str]) -> None:
        self._counters = counters
        self._port = tunnel.port if tunnel else None
        self._by_address = tunnel.by_address if tunnel else {}
        self._d_sids = d_sids if tunnel else frozenset()
        self.stations: flow_entries.Stations = _by_mac(tunnel) if tunnel else {}

    def steers(self, d_sid: Address) -> bool:
        """Return whether the flows to a D-SID go by tunnel."""
        return d_sid in self._d_sids

    def is_end(self, in_port: int) -> bool:
        """Return whether what came in by a port came through a tunnel."""
        return in_port == self._port

    def for_everyone(self) -> bytes:
        """Deliver what ingresses send to instances here, and nothing else that comes through the tunnel."""
        if self._port is None:
            return b""
        here = {station.mac: station for station in self._by_address.values() if station.port != self._port}
        delivered = b"".join(
            wire.add_entry(
                flow_entries.SERVICE_COOKIE,
                _DELIVERY_PRIORITY,
                wire.port_match(self._port, station.mac),
                wire.output(station.port),
            )
            for station in here.values()
        )
        return (
            delivered
            + b"".join(_pass_too_big(version, self._port) for version in (4, 6))
            + wire.add_entry(flow_entries.SERVICE_COOKIE, _DROP_PRIORITY, wire.port_match(self._port), b"")
        )

    def affinity(self, entry: AffinityEntry, port_block: int = 1) -> bytes:
        """Bind a flow in both directions, as `flow_entries.affinity` does."""
        station = self._station(entry)
        if station is None:
            return b""
        cookie, priority = flow_entries.AFFINITY_COOKIE | entry.number, flow_entries.priority_of(entry, port_block)
        flow = entry.flow
        reverse = wire.ip_match(
            flow.dst.version, flow.dst, flow.src, flow.proto, flow.dst_port, flow.src_port, port_block
        )
        forward = wire.ip_match(flow.dst.version, *flow, port_block)
        return wire.add_entry(cookie, priority, reverse, _reverse_actions(station)) + wire.add_entry(
            cookie, priority, forward, _forward_actions(station), entry.timeout_s, reports_removal=True
        )

    def forward_packet(self, entry: AffinityEntry, packet: PacketIn) -> bytes:
        """Send the packet at hand as its entry would; a fragment and an ICMP error, too, for nothing is rewritten."""
        station = self._station(entry)
        return b"" if station is None else wire.packet_out(packet.in_port, _forward_actions(station), packet.data)

    def _station(self, entry: AffinityEntry) -> Station | None:
        station = self._by_address.get(entry.d_bid)
        if station is None:
            self._counters["packets_to_no_station"] += 1
        return station


def _pass_too_big(version: int, port: int) -> bytes:
    """Have clients learn that what they sent is too big for the path of the tunnel.

    A VXLAN device that is a port of the kernel's datapath answers so by itself, in the name of the D-SID, and hands the
    answer in as if it had come through the tunnel. NORMAL would leave it in the tunnel's VLAN.
    """
    to_all = wire.output(ofp.OFPP_FLOOD)
    return wire.add_entry(flow_entries.SERVICE_COOKIE, _TOO_BIG_PRIORITY, wire.too_big_match(version, port), to_all)


def _by_mac(tunnel: TunnelConfig) -> flow_entries.Stations:
    """Return the address of each station by MAC address and family; a D-Router has one address for both."""
    found = {(station.mac, version): address for address, station in tunnel.by_address.items() for version in (4, 6)}
    return found | {(station.mac, address.version): address for address, station in tunnel.by_address.items()}


@lru_cache(maxsize=_REMEMBERED)
def _forward_actions(station: Station) -> bytes:
    return wire.decrement_ttl() + wire.set_eth_dst(station.mac) + wire.output(station.port)


@lru_cache(maxsize=_REMEMBERED)
def _reverse_actions(station: Station) -> bytes:
    # The tunnel id leaves with no packet; a control process that comes back reads there where the flow is bound to.
    return wire.set_tunnel_id(int.from_bytes(station.mac, "big")) + wire.output(ofp.OFPP_NORMAL)
