"""The Dyncast ingress app: OpenFlow events and datagrams → `DRouter` or `Dispatcher` → Flow-Mods and datagrams.

A shim: it owns sockets, the clock and OpenFlow sessions, and decides nothing. Start it with
`python -m ryu_apps.launcher CONFIG.json`, or with `ryu-manager --dyncast-config CONFIG.json`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import Any

from ryu_apps.dyncast import role
from ryu_apps.dyncast.config import control_process
from ryu_apps.dyncast.datapath_mode.mode import DatapathMode
from ryu_apps.dyncast.deferrable_socket import DeferrableSocket
from ryu_apps.dyncast.entries import direct_entries, flow_entries, group_entries, wording
from ryu_apps.dyncast.entries.direct_entries import DirectEntries
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.dyncast.inspection.answers import Inspection
from ryu_apps.dyncast.inspection.socket_server import InspectionSocket
from ryu_apps.dyncast.journal import Journal
from ryu_apps.dyncast.measurement.measurement import Measuring
from ryu_apps.dyncast.performer import Performer
from ryu_apps.openflow import control_delay
from ryu_apps.openflow.barriers import Barriers
from ryu_apps.openflow.control_delay import ControlDelay
from ryu_apps.openflow.framework import BaseApp, cfg, handler, hub, ofp_event, ofproto_v1_3
from ryu_apps.openflow.inherited_sockets import inherited
from ryu_apps.openflow.packet_in import NO_PACKET, PacketIn, PacketKind
from ryu_apps.openflow.packets import icmp_errors
from ryu_apps.openflow.packets.fragments import Fragments
from ryu_apps.openflow.packets.packet_headers import flow_key
from ryu_apps.openflow.timers import Timers
from testbed.dyncast.actions import DropPacket, Output, SendMessage
from testbed.dyncast.affinity.table import HeldFlow
from testbed.dyncast.messages import codec
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey
from testbed.net.token_bucket import Rate, TokenBucket
from testbed.records.file_names import file_name
from testbed.records.peer_names import PeerNames
from testbed.records.writer import RecordWriter
from testbed.runtime.message_errors import MessageErrors
from testbed.runtime.pulse import Pulse

cfg.CONF.register_cli_opts([cfg.StrOpt("dyncast-config", help="configuration of this D-Router, a JSON file")])

_ERROR_RATE = Rate(per_s=1000, burst=1000)  # of ICMP errors
_FLUSH_EARLY_SHARE = 0.2  # of the interval, if the process is awake anyway
_LARGEST_DATAGRAM = 65535
_SWITCH_PATIENCE_S = 30.0  # it may have a million entries to delete


class DyncastIngress(BaseApp):  # type: ignore[misc]
    """The control process of one D-Router or CFN Dispatcher."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = control_process.load(Path(cfg.CONF.dyncast_config))
        self.d_router = role.core(self.settings)
        records = RecordWriter(self.settings.out_dir, self.settings.name)
        self.journal = Journal(records, self.settings.site, self.d_router.counters, self.d_router.bindings)
        self._datapath: Any = None
        tunnelled = [service.d_sids for service in self.settings.d_router.services if service.steering == "tunnel"]
        d_sids = frozenset(chain.from_iterable(tunnelled))
        self._tunnel = TunnelEntries(self.settings.tunnel, d_sids, self.d_router.counters)
        self._knows_the_switch = False
        self._read_back: list[Any] | None = None  # of its entries, while they are being read
        switch = self.settings.switch
        self._direct = DirectEntries(
            switch.direct if switch else None, switch.prefixes if switch else (), self.settings.uplink_port
        )
        self._fragments = Fragments(self.d_router.counters)
        self._error_rate = TokenBucket(_ERROR_RATE)
        self._barriers = Barriers()
        self._own_threads: list[Any] = []
        self._in_band = inherited(self.settings.in_band_fd, "in_band_fd", socket.SOCK_DGRAM)
        self._deferrable = None if self.settings.deferrable is None else DeferrableSocket(self.settings.deferrable)
        self._errors = MessageErrors(self.d_router.counters, self.logger.error)
        self._strangers = PeerNames()
        self._datapath_mode = DatapathMode(self.settings, self.d_router, self.journal, self.logger)
        self.performer = self._performer()
        self._inspection_socket = self._open_inspection_socket()
        self._site_of = role.neighbours(self.settings)
        self._known_sources = {str(address): address for address in self._site_of}
        self._control_delay = ControlDelay(self.settings.out_dir, self.settings.name, self._has_flows)
        self._pulse = Pulse(self.settings.out_dir, self.settings.name, time.monotonic())
        self._timers = Timers(self._pulse)
        means = records, self.logger, self._timers.look_again, self._errors, self._in_band, self.journal.message
        self._measuring = Measuring(self.settings, self.d_router, *means)
        self._next_flush_s = 0.0
        if self._deferrable is not None:
            self._timers.add(self._deferrable.next_timer_s, self._take_deferred)
        self._timers.add(self.d_router.next_timer_s, self._on_time)
        self._timers.add(self._datapath_mode.next_timer_s, self._datapath_mode.on_timer)
        self._timers.add(self._measuring.next_timer_s, self._measuring.on_timer, early_s=self._measuring.early_s)
        self._timers.add(
            self._control_delay.next_timer_s,
            lambda now_s: self._control_delay.on_timer(self._datapath, now_s),
            early_s=control_delay.EARLY_S,
        )
        self._timers.add(self._fragments.next_timer_s, self._fragments.on_timer)
        early_s = _FLUSH_EARLY_SHARE * self.settings.flush_interval_s
        self._timers.add(lambda: self._next_flush_s, self._flush, early_s=early_s)

    def start(self) -> None:
        """Start the event loop of the framework, and ours."""
        super().start()
        loops = [self._receive, self._timers.run]
        if self._inspection_socket is not None:
            loops.append(self._inspection_socket.serve)
        loops += [*self._measuring.loops, *self._datapath_mode.loops]
        self._own_threads = [hub.spawn(self._or_end, loop) for loop in loops]

    def stop(self) -> None:
        """End our loops, which would never end by themselves, then the framework's."""
        for thread in self._own_threads:
            hub.kill(thread)
        self._take_deferred(time.monotonic())
        super().stop()

    def close(self) -> None:
        """Write down what is not written yet."""
        self.journal.close(time.monotonic())
        self._control_delay.close(time.monotonic())
        self._pulse.close(time.monotonic())

    # -- OpenFlow --------------------------------------------------------------------------------

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)
    def on_switch(self, event: Any) -> None:
        """Take over a switch that connected or came back."""
        datapath = event.msg.datapath
        if datapath.id != self.settings.datapath_id:
            self.logger.warning("switch %s is not ours (%s); ignored", datapath.id, self.settings.datapath_id)
            return
        if self._datapath is not None:
            self.d_router.counters["switch_sessions_refused"] += 1
            self.logger.warning("switch %s has a session already; a second one is refused", datapath.id)
            datapath.close()
            return
        self._datapath = datapath
        if self._knows_the_switch:
            datapath.send(b"".join(flow_entries.remove_everything_of_ours()))
            self._take_over([])
        else:
            self._read_back = []
            datapath.send(flow_entries.read_bound_flows())

    def _take_over(self, held: list[HeldFlow]) -> None:
        """Send a switch everything; `held` is what a former process of this D-Router bound in it."""
        self._knows_the_switch = True
        now_s = time.monotonic()
        self._datapath.send(flow_entries.ordinary_traffic() + self._tunnel.for_everyone() + self._direct.for_everyone())
        self._datapath_mode.connect(self._datapath, self._datapath.send_msg, self._perform_when_taken, now_s)
        self._perform(self.d_router.on_switch_connected(now_s, held))
        (self.settings.out_dir / f"{file_name(self.settings.name)}.ready").touch()

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)
    def on_packet_in(self, event: Any) -> None:
        """Steer the first packet of a flow."""
        try:
            self._steer(event.msg)
        except Exception as error:
            self._errors.note("packet_in", error)

    def _steer(self, message: Any) -> None:
        if message.datapath is not self._datapath:
            return
        self._control_delay.on_packet(time.monotonic())
        if self._read_back is not None:  # it may be of a flow that is bound already
            self.d_router.counters["dropped_while_taking_over"] += 1
            return
        in_port = message.match["in_port"]
        if message.cookie == flow_entries.FRAGMENT_COOKIE:
            self._on_fragment(PacketIn(in_port, message.data, PacketKind.FRAGMENT))
        elif message.cookie == flow_entries.ERROR_COOKIE or group_entries.brings_error(message.cookie):
            d_sid = self._datapath_mode.error_about(message.cookie)
            self._on_icmp_error(PacketIn(in_port, message.data, PacketKind.ICMP_ERROR), d_sid)
        else:
            self._on_whole_packet(PacketIn(in_port, message.data))

    def _on_whole_packet(self, packet: PacketIn) -> None:
        flow = flow_key(packet.data)
        if flow is None:
            self.d_router.counters["dropped_no_flow"] += 1
            return
        self._perform(self._on_packet_to_bind(flow, packet), packet)

    def _on_packet_to_bind(self, flow: FlowKey, packet: PacketIn) -> Sequence[Output]:
        self._take_deferred(time.monotonic())  # a decision rests on all that has come
        tunnelled = self._tunnel.is_end(packet.in_port)
        return self.d_router.on_packet(flow, time.monotonic(), packet.in_port, tunnelled=tunnelled)

    def _on_fragment(self, packet: PacketIn) -> None:
        for flow, part in self._fragments.take(packet, time.monotonic()):
            steered = self.d_router.keeper.on_fragment(flow)
            self._perform(self._on_packet_to_bind(flow, part) if steered is None else steered, part)

    def _on_icmp_error(self, packet: PacketIn, d_sid: Address | None) -> None:
        """Steer an ICMP error; `d_sid`: that of the flow, if the switch has bound it."""
        quoted = icmp_errors.quoted_flow(packet.data)
        if not self._error_rate.take(time.monotonic()):
            self.d_router.counters["errors_over_rate"] += 1
        elif quoted is None:
            self.d_router.counters["errors_malformed"] += 1
        elif d_sid is not None:
            self.d_router.counters["errors_steered"] += 1
            self._send_to_switch(flow_entries.return_error(d_sid, quoted.dst, packet))
        else:
            self._perform(self.d_router.keeper.on_icmp_error(quoted), packet)

    @handler.set_ev_cls(ofp_event.EventOFPFlowRemoved, handler.MAIN_DISPATCHER)
    def on_flow_removed(self, event: Any) -> None:
        """Handle an entry that left the switch."""
        message = event.msg
        if message.datapath is not self._datapath:
            return
        if flow_entries.is_affinity(message.cookie) and message.reason != ofproto_v1_3.OFPRR_DELETE:
            number = flow_entries.number_of(message.cookie)
            idle = message.reason == ofproto_v1_3.OFPRR_IDLE_TIMEOUT
            self._perform(self.d_router.keeper.on_forward_entry_removed(number, idle))

    @handler.set_ev_cls(ofp_event.EventOFPFlowStatsReply, [handler.CONFIG_DISPATCHER, handler.MAIN_DISPATCHER])
    def on_counters(self, event: Any) -> None:
        """Handle the count of packets on the reverse path of a flow whose forward entry idled out.

        At first: which flows a former process bound.
        """
        if event.msg.datapath is not self._datapath:
            return
        if self._read_back is not None:
            self._read_back += event.msg.body
            if not event.msg.flags & ofproto_v1_3.OFPMPF_REPLY_MORE:
                held, self._read_back = flow_entries.held_flows(self._read_back, self._tunnel.stations), None
                self._take_over(held)
            return
        now_s = time.monotonic()
        for entry_read in event.msg.body:
            if entry_read.cookie == direct_entries.UNBOUND_COOKIE:
                self.d_router.counters["dropped_after_end"] = entry_read.packet_count
                continue
            number = flow_entries.number_of(entry_read.cookie)
            entry = self.d_router.affinity.numbered(number)
            if entry is not None and flow_entries.is_reverse(entry_read.match, entry):
                packets = entry_read.packet_count
                self._perform(self.d_router.keeper.on_return_packets(number, packets, now_s))

    @handler.set_ev_cls(ofp_event.EventOFPStateChange, handler.DEAD_DISPATCHER)
    def on_switch_gone(self, event: Any) -> None:
        """Forget a switch that went away; it is taken over again when it comes back."""
        if event.datapath is self._datapath:
            self._datapath = self._read_back = None
            self._datapath_mode.disconnect()
            self._barriers.on_switch_gone()
            self.d_router.counters["switch_lost"] += 1
            self._flush(time.monotonic())  # the verdict names the time

    @handler.set_ev_cls(ofp_event.EventOFPErrorMsg, handler.MAIN_DISPATCHER)
    def on_error(self, event: Any) -> None:
        """Count what the switch refused; see whether the D-Router has to do it."""
        self.d_router.counters["switch_errors"] += 1
        self.logger.error("switch refused a message: type %s code %s", event.msg.type, event.msg.code)
        if event.msg.datapath is self._datapath:
            self._perform(self._datapath_mode.on_error(event.msg.data))

    @handler.set_ev_cls(ofp_event.EventOFPBarrierReply, [handler.CONFIG_DISPATCHER, handler.MAIN_DISPATCHER])
    def on_barrier(self, event: Any) -> None:
        """Handle the switch's word that it has carried out all messages."""
        if event.msg.datapath is self._datapath:
            self._barriers.on_reply(event.msg.xid)

    @handler.set_ev_cls(ofp_event.EventOFPEchoReply, handler.MAIN_DISPATCHER)
    def on_echo(self, event: Any) -> None:
        """Handle a measurement of how long the switch's messages are under way."""
        if event.msg.datapath is self._datapath:
            self._control_delay.on_answer(event.msg.data, time.monotonic())

    def _has_flows(self) -> bool:
        return bool(self.d_router.affinity) or self._datapath_mode.binds_flows

    def _confirm(self) -> bool:
        """Wait until the switch has carried out all messages; a switch that is away has nothing to do."""
        if self._datapath is None:
            return True
        taken = hub.Event()
        self._barriers.request(self._datapath, taken.set)
        return bool(taken.wait(_SWITCH_PATIENCE_S))

    def _perform_when_taken(self, outputs: Callable[[], Iterable[Output]]) -> None:
        """Have what a function returns performed when the switch has carried out all messages. Waits for nothing."""
        if self._datapath is not None:
            self._barriers.request(self._datapath, lambda: self._perform(outputs()))

    # -- looking inside --------------------------------------------------------------------------

    def _open_inspection_socket(self) -> InspectionSocket | None:
        if self.settings.inspection_socket is None:
            return None
        inspection = Inspection(self.d_router, self.journal.counts, self._perform, self._confirm)

        def answer(request: Mapping[str, Any]) -> Mapping[str, object]:
            self._take_deferred(time.monotonic())
            return inspection.answer(request)

        return InspectionSocket(self.settings.inspection_socket, answer, self._errors)

    # -- in band ---------------------------------------------------------------------------------

    def _or_end(self, loop: Callable[[], None]) -> None:
        """Run a loop; if it fails, end the process: a D-Router that is deaf must not look alive."""
        try:
            loop()
        except Exception:
            self.logger.exception("the D-Router cannot go on")
            self.close()
            os._exit(1)

    def _receive(self) -> None:
        while True:
            data, address = self._in_band.recvfrom(_LARGEST_DATAGRAM)
            self._take_deferred(time.monotonic())  # it was sent before, and would count as overtaken
            self._take(data, address[0])

    def _take_deferred(self, now_s: float) -> None:
        if self._deferrable is not None:
            for message in self._deferrable.received(now_s):
                self._take(*message)

    def _take(self, data: bytes, address: str, arrived_s: float | None = None) -> None:
        try:
            source = self._known_sources.get(address) or ip_address(address)
            peer = self._site_of.get(source) or self._strangers.name(address)
            self.journal.message("received", peer, codec.kind_of(data), len(data))
            self._perform(self.d_router.on_message(data, source, time.monotonic(), arrived_s))
        except Exception as error:
            self._errors.note("in_band", error)

    def _on_time(self, now_s: float) -> None:
        self._take_deferred(now_s)
        self._perform(self.d_router.on_timer(time.monotonic()))  # of now: probes are dated by it

    def _flush(self, now_s: float) -> None:
        self._next_flush_s = now_s + self.settings.flush_interval_s
        self.journal.flush(now_s)
        self._control_delay.flush()
        if self._direct.zone is not None and self._read_back is None:
            self._send_to_switch(direct_entries.read_dropped())

    # -- actions ---------------------------------------------------------------------------------

    def _perform(self, outputs: Iterable[Output], packet: PacketIn = NO_PACKET) -> None:
        self.performer.perform(outputs, packet)
        self._timers.look_again()

    def _performer(self) -> Performer:
        words = wording.table(
            self.settings.uplink_port,
            self.settings.d_router.prefixes,
            self.d_router.services,
            self._tunnel,
            self._direct,
        )
        return Performer(
            words,
            {
                **self._datapath_mode.handlers,
                **self.journal.handlers,
                SendMessage: self._send,
                DropPacket: lambda _: None,
            },
            self._send_to_switch,
        )

    def _send_to_switch(self, messages: bytes) -> None:
        if self._datapath is not None:  # otherwise it learns of all bindings when it returns
            self._datapath.send(messages)

    def _send(self, message: SendMessage) -> None:
        try:
            if self._deferrable is not None and message.is_deferrable:
                self._deferrable.send(message.data, str(message.to))
            else:
                self._in_band.sendto(message.data, (str(message.to), self.settings.in_band_port))
        except OSError as error:  # no route, a full queue: as lost as any datagram, but counted
            self.d_router.counters["messages_unsent"] += 1
            self.logger.debug("not sent to %s: %s", message.to, error)
            return
        peer = self._site_of.get(message.to) or self._strangers.name(str(message.to))  # an echo goes to whoever asked
        self.journal.message("sent", peer, message.kind, len(message.data))
