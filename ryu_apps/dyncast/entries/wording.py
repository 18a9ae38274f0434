"""Which OpenFlow messages each action becomes: one table, made of what the other modules here word.

Chooses between rewriting and the tunnel by the D-SID of a flow; remembers by what blocks its ports count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.direct_entries import DirectEntries
from ryu_apps.dyncast.entries.dispatcher_entries import DispatcherEntries
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.actions import (
    ForwardPacket,
    InstallAffinity,
    InterceptRange,
    InterceptService,
    PassPacket,
    ReadReturnPackets,
    RefusePacket,
    ReleaseService,
    RemoveAffinity,
    ReversePacket,
    TrackDirectFlows,
    TrackReverseFlows,
)
from testbed.dyncast.affinity.service import Service
from testbed.net.addresses import Address, Network

Wording = Callable[[Any, PacketIn], bytes]
"""From an action, and the packet at hand, to the messages that perform it."""


def table(
    uplink_port: int,
    prefixes: Sequence[Network],
    services: Mapping[Address, Service],
    tunnel: TunnelEntries,
    direct: DirectEntries,
) -> dict[type, Wording]:
    """Return how to word each action that the switch performs; `services` are those of now, by D-SID."""
    port_blocks = _PortBlocks(services)

    def bind(action: InstallAffinity, _: PacketIn) -> bytes:
        port_block = port_blocks.of(action.entry.d_sid)
        if tunnel.steers(action.entry.d_sid):
            return tunnel.affinity(action.entry, port_block)
        return flow_entries.affinity(action.entry, uplink_port, port_block)

    def forward(action: ForwardPacket, packet: PacketIn) -> bytes:
        if tunnel.steers(action.entry.d_sid):
            return tunnel.forward_packet(action.entry, packet)
        return flow_entries.forward_packet(action.entry, uplink_port, packet)

    def intercept(action: InterceptService, _: PacketIn) -> bytes:
        d_sid = action.d_sid
        errors_to: list[Address | Network] = [d_sid]
        if not tunnel.steers(d_sid):  # through a tunnel, what a client sent is what is quoted
            errors_to += [prefix for prefix in prefixes if prefix.version == d_sid.version]
        errors = b"".join(map(flow_entries.intercept_errors, errors_to))
        return flow_entries.intercept_fragments(d_sid) + errors + flow_entries.intercept_service(d_sid)

    def track_reverse(action: TrackReverseFlows, _: PacketIn) -> bytes:
        entries = flow_entries.track_reverse_flows(action.d_bid, prefixes)
        return entries + direct.to_instance(action.d_bid) + direct.from_instance(action.d_bid)

    return {
        InstallAffinity: bind,
        ForwardPacket: forward,
        RefusePacket: lambda _, packet: flow_entries.refuse_packet(uplink_port, packet),
        ReadReturnPackets: lambda action, _: flow_entries.read_counters(action.entry),
        RemoveAffinity: lambda action, _: flow_entries.remove_affinity(action.entry),
        TrackReverseFlows: track_reverse,
        TrackDirectFlows: lambda action, _: direct.to_instance(action.d_bid),
        InterceptService: intercept,
        ReversePacket: lambda action, packet: flow_entries.return_packet(action.entry, packet),
        PassPacket: lambda _, packet: flow_entries.pass_packet(packet),
        ReleaseService: lambda action, _: flow_entries.release_service(action.d_sid),
        InterceptRange: lambda action, _: flow_entries.intercept_range(action.d_sids),
        **DispatcherEntries(uplink_port).wording,
    }


class _PortBlocks:
    """By what blocks the ports of each service count. Flows may outlive what is known of their service."""

    def __init__(self, services: Mapping[Address, Service]) -> None:
        self._services = services
        self._known: dict[Address, int] = {}

    def of(self, d_sid: Address) -> int:
        """Return how many ports a block has for flows to a D-SID."""
        service = self._services.get(d_sid)
        if service is not None:
            self._known[d_sid] = service.port_block
        return self._known.get(d_sid, 1)
