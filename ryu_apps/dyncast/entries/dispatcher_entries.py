"""What a CFN Dispatcher and its CFN node have their switches do beyond what every ingress does, and packets on hold.

Words the actions of `testbed.dyncast.nodes.dispatcher` and `dispatcher_service` as OpenFlow; knows no session. Entries
of a Dispatcher besides those of `flow_entries`, in the same table:

    priority  match                                          actions
    330       a fragment, from the uplink to a client        to the Dispatcher (Packet-In)
    150       from the uplink, a client's as its source      to the Dispatcher; it came back
    50        from the uplink, to a client                   a hash that nobody reads, so that all fields count; NORMAL
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.actions import DropHeld, HoldPacket, ReleasePackets, RequestSelection, ReturnPacket, TrackUplink
from testbed.net.flow_key import FlowKey

_RETURNED_PRIORITY = 150


class DispatcherEntries:
    """The packets that one Dispatcher holds, and its actions as OpenFlow; `uplink_port` leads to the CFN node."""

    def __init__(self, uplink_port: int) -> None:
        self._uplink_port = uplink_port
        self._held: defaultdict[FlowKey, list[PacketIn]] = defaultdict(list)
        self.wording: dict[type, Callable[[Any, PacketIn], bytes]] = {
            HoldPacket: self._hold,
            DropHeld: self._drop,
            RequestSelection: self._ask,
            ReleasePackets: self._release,
            ReturnPacket: self._return,
            TrackUplink: self._watch,
        }

    def _hold(self, action: HoldPacket, packet: PacketIn) -> bytes:
        self._held[action.flow].append(packet)
        return b""

    def _drop(self, action: DropHeld, _: PacketIn) -> bytes:
        self._held.pop(action.flow, None)
        return b""

    def _ask(self, action: RequestSelection, _: PacketIn) -> bytes:
        first = self._held[action.flow][0]
        return wire.packet_out(first.in_port, wire.output(self._uplink_port), first.data)

    def _release(self, action: ReleasePackets, _: PacketIn) -> bytes:
        held: Iterable[PacketIn] = self._held.pop(action.entry.flow, ())
        return b"".join(flow_entries.forward_packet(action.entry, self._uplink_port, packet) for packet in held)

    def _return(self, action: ReturnPacket, packet: PacketIn) -> bytes:
        rewritten = b"" if action.d_bid is None else wire.set_dst(action.d_bid)
        return wire.packet_out(packet.in_port, rewritten + wire.output(ofp.OFPP_IN_PORT), packet.data)

    def _watch(self, action: TrackUplink, _: PacketIn) -> bytes:
        entries = [
            flow_entries.switch_flow_by_flow(wire.network_match(self._uplink_port, prefix.version, dst=prefix))
            + flow_entries.intercept_fragments_from(self._uplink_port, prefix)
            for prefix in action.prefixes
        ]
        if action.brings_back:
            entries += [
                wire.add_entry(
                    flow_entries.SERVICE_COOKIE, _RETURNED_PRIORITY,
                    wire.network_match(self._uplink_port, prefix.version, src=prefix),
                    wire.output(ofp.OFPP_CONTROLLER),
                )
                for prefix in action.prefixes
            ]  # fmt: skip
        return b"".join(entries)
