"""Which OpenFlow messages each action becomes: one table, made of what the other modules here word.

Chooses between rewriting and the tunnel by the D-SID of a flow; remembers by what blocks its ports are told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.dispatcher_entries import DispatcherEntries
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.actions import (
    ForwardPacket,
    InstallAffinity,
    InterceptRange,
    InterceptService,
    ReadReturnPackets,
    RefusePacket,
    ReleaseService,
    RemoveAffinity,
    TrackReverseFlows,
)
from testbed.dyncast.affinity.service import Service
from testbed.net.addresses import Address, Network

Wording = Callable[[Any, PacketIn], bytes]
"""From an action, and the packet at hand, to the messages that perform it."""


def table(
    uplink_port: int, prefixes: Iterable[Network], services: Mapping[Address, Service], tunnel: TunnelEntries
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
            return tunnel.forward_packet(action.entry, *packet)
        return flow_entries.forward_packet(action.entry, uplink_port, *packet)

    return {
        InstallAffinity: bind,
        ForwardPacket: forward,
        RefusePacket: lambda _, packet: flow_entries.refuse_packet(uplink_port, *packet),
        ReadReturnPackets: lambda action, _: flow_entries.read_counters(action.entry),
        RemoveAffinity: lambda action, _: flow_entries.remove_affinity(action.entry),
        TrackReverseFlows: lambda action, _: flow_entries.track_reverse_flows(action.d_bid, prefixes),
        InterceptService: lambda action, _: flow_entries.intercept_service(action.d_sid),
        ReleaseService: lambda action, _: flow_entries.release_service(action.d_sid),
        InterceptRange: lambda action, _: flow_entries.intercept_range(action.d_sids),
        **DispatcherEntries(uplink_port).wording,
    }


class _PortBlocks:
    """By what blocks the ports of each service are told apart. Flows may outlive what is known of their service."""

    def __init__(self, services: Mapping[Address, Service]) -> None:
        self._services = services
        self._known: dict[Address, int] = {}

    def of(self, d_sid: Address) -> int:
        """Return how many ports a block has for flows to a D-SID."""
        service = self._services.get(d_sid)
        if service is not None:
            self._known[d_sid] = service.port_block
        return self._known.get(d_sid, 1)
