"""The Dyncast ingress app: OpenFlow events and datagrams → `DRouter` or `Dispatcher` → Flow-Mods and datagrams.

A shim: it owns sockets, the clock and OpenFlow sessions, and decides nothing. Start it with
`python -m ryu_apps.launcher CONFIG.json`, or with `ryu-manager --dyncast-config CONFIG.json`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import Any

from ryu_apps.dyncast import role
from ryu_apps.dyncast.config import control_process
from ryu_apps.dyncast.datapath_mode.mode import DatapathMode
from ryu_apps.dyncast.entries import flow_entries, wording
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.dyncast.inspection.answers import Inspection
from ryu_apps.dyncast.inspection.socket_server import InspectionSocket
from ryu_apps.dyncast.journal import Journal
from ryu_apps.dyncast.measurement.measurement import Measuring
from ryu_apps.dyncast.performer import Performer
from ryu_apps.openflow import control_delay
from ryu_apps.openflow.control_delay import ControlDelay
from ryu_apps.openflow.framework import BaseApp, cfg, handler, hub, ofp_event, ofproto_v1_3
from ryu_apps.openflow.inherited_sockets import inherited
from ryu_apps.openflow.packet_headers import flow_key
from ryu_apps.openflow.packet_in import NO_PACKET, PacketIn
from ryu_apps.openflow.timers import Timers
from testbed.dyncast.actions import DropPacket, Output, SendMessage
from testbed.dyncast.affinity.table import HeldFlow
from testbed.dyncast.messages import codec
from testbed.dyncast.monitoring.probing import PROBE_KINDS
from testbed.records.writer import RecordWriter

cfg.CONF.register_cli_opts([cfg.StrOpt("dyncast-config", help="configuration of this D-Router, a JSON file")])

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
        self._unconfirmed: dict[int, Any] = {}  # barriers that were not answered yet, and who waits for each
        self._own_threads: list[Any] = []
        self._in_band = inherited(self.settings.in_band_fd, "in_band_fd", socket.SOCK_DGRAM)
        self._datapath_mode = DatapathMode(self.settings, self.d_router, self.journal, self.logger)
        self.performer = self._performer()
        self._inspection_socket = self._open_inspection_socket()
        self._site_of = role.neighbours(self.settings)
        self._known_sources = {str(address): address for address in self._site_of}
        self._control_delay = ControlDelay(self.settings.out_dir, self.settings.name)
        self._timers = Timers()
        self._measuring = Measuring(self.settings, self.d_router, records, self.logger, self._timers.look_again)
        self._next_flush_s = 0.0
        self._timers.add(self.d_router.next_timer_s, self._on_time)
        self._timers.add(self._datapath_mode.next_timer_s, self._datapath_mode.on_timer)
        self._timers.add(self._measuring.next_timer_s, self._measuring.on_timer)
        self._timers.add(
            self._control_delay.next_timer_s,
            lambda now_s: self._control_delay.on_timer(self._datapath, now_s),
            early_s=control_delay.EARLY_S,
        )
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
        super().stop()

    def close(self) -> None:
        """Write down what is not written yet."""
        self.journal.close(time.monotonic())
        self._control_delay.close(time.monotonic())

    # -- OpenFlow --------------------------------------------------------------------------------

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)
    def on_switch(self, event: Any) -> None:
        """Take over a switch that connected or came back."""
        datapath = event.msg.datapath
        if datapath.id != self.settings.datapath_id:
            self.logger.warning("switch %s is not ours (%s); ignored", datapath.id, self.settings.datapath_id)
            return
        self._datapath = datapath
        if self._knows_the_switch:
            datapath.send(b"".join(flow_entries.remove_everything_of_ours()))
            self._take_over([])
        else:
            self._read_back = []
            datapath.send(flow_entries.read_bound_flows())

    def _take_over(self, held: list[HeldFlow]) -> None:
        """Tell a switch everything; `held` is what a former process of this D-Router bound in it."""
        self._knows_the_switch = True
        now_s = time.monotonic()
        self._datapath.send(flow_entries.ordinary_traffic() + self._tunnel.for_everyone())
        self._datapath_mode.connect(self._datapath, self._datapath.send_msg, now_s)
        self._perform(self.d_router.on_switch_connected(now_s, held))
        (self.settings.out_dir / f"{self.settings.name}.ready").touch()

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)
    def on_packet_in(self, event: Any) -> None:
        """Steer the first packet of a flow."""
        message = event.msg
        if message.datapath is not self._datapath:
            return
        if self._read_back is not None:  # it may be of a flow that is bound already
            self.d_router.counters["dropped_while_taking_over"] += 1
            return
        flow = flow_key(message.data)
        if flow is None:
            self.d_router.counters["dropped_no_flow"] += 1
            return
        in_port = message.match["in_port"]
        actions = self.d_router.on_packet(flow, time.monotonic(), in_port, tunnelled=self._tunnel.is_end(in_port))
        self._perform(actions, PacketIn(in_port, message.data))

    @handler.set_ev_cls(ofp_event.EventOFPFlowRemoved, handler.MAIN_DISPATCHER)
    def on_flow_removed(self, event: Any) -> None:
        """Hear of an entry that left the switch."""
        message = event.msg
        if message.datapath is not self._datapath:
            return
        if flow_entries.is_affinity(message.cookie) and message.reason != ofproto_v1_3.OFPRR_DELETE:
            number = flow_entries.number_of(message.cookie)
            idle = message.reason == ofproto_v1_3.OFPRR_IDLE_TIMEOUT
            self._perform(self.d_router.keeper.on_forward_entry_removed(number, idle))

    @handler.set_ev_cls(ofp_event.EventOFPFlowStatsReply, [handler.CONFIG_DISPATCHER, handler.MAIN_DISPATCHER])
    def on_counters(self, event: Any) -> None:
        """Hear how much came home on a flow whose way to the service idled out.

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
            number = flow_entries.number_of(entry_read.cookie)
            entry = self.d_router.affinity.numbered(number)
            if entry is not None and flow_entries.is_reverse(entry_read.match, entry):
                packets = entry_read.packet_count
                self._perform(self.d_router.keeper.on_return_packets(number, packets, now_s))

    @handler.set_ev_cls(ofp_event.EventOFPStateChange, handler.DEAD_DISPATCHER)
    def on_switch_gone(self, event: Any) -> None:
        """Forget a switch that went away; it is taken over anew when it comes back."""
        if event.datapath is self._datapath:
            self._datapath = self._read_back = None
            self._datapath_mode.disconnect()
            self.d_router.counters["switch_lost"] += 1

    @handler.set_ev_cls(ofp_event.EventOFPErrorMsg, handler.MAIN_DISPATCHER)
    def on_error(self, event: Any) -> None:
        """Count what the switch refused; see whether the D-Router has to do it."""
        self.d_router.counters["switch_errors"] += 1
        self.logger.error("switch refused a message: type %s code %s", event.msg.type, event.msg.code)
        if event.msg.datapath is self._datapath:
            self._perform(self._datapath_mode.on_error(event.msg.data))

    @handler.set_ev_cls(ofp_event.EventOFPBarrierReply, handler.MAIN_DISPATCHER)
    def on_barrier(self, event: Any) -> None:
        """Hear that the switch has carried out what it was told."""
        waiting = self._unconfirmed.get(event.msg.xid)
        if waiting is not None:
            waiting.set()

    @handler.set_ev_cls(ofp_event.EventOFPEchoReply, handler.MAIN_DISPATCHER)
    def on_echo(self, event: Any) -> None:
        """Hear how long what the switch says is under way."""
        if event.msg.datapath is self._datapath:
            self._control_delay.on_answer(event.msg.data, time.monotonic())

    def _confirm(self) -> bool:
        """Wait until the switch has carried out what it was told; a switch that is away has nothing to do."""
        if self._datapath is None:
            return True
        barrier = self._datapath.ofproto_parser.OFPBarrierRequest(self._datapath)
        self._datapath.set_xid(barrier)
        waiting = self._unconfirmed[barrier.xid] = hub.Event()
        try:
            self._datapath.send_msg(barrier)
            return bool(waiting.wait(_SWITCH_PATIENCE_S))
        finally:
            del self._unconfirmed[barrier.xid]

    # -- looking inside --------------------------------------------------------------------------

    def _open_inspection_socket(self) -> InspectionSocket | None:
        if self.settings.inspection_socket is None:
            return None
        inspection = Inspection(self.d_router, self.journal.counts, self._perform, self._confirm)
        return InspectionSocket(self.settings.inspection_socket, inspection.answer, self.logger)

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
            self._take(data, address[0])

    def _take(self, data: bytes, address: str, arrived_s: float | None = None) -> None:
        source = self._known_sources.get(address) or ip_address(address)
        self.journal.message("received", self._site_of.get(source, address), codec.kind_of(data), len(data))
        self._perform(self.d_router.on_message(data, source, time.monotonic(), arrived_s))

    def _on_time(self, _now_s: float) -> None:
        if self._measuring.probes is not None:
            for probe in self._measuring.probes.received():
                self._take(*probe)
        self._perform(self.d_router.on_timer(time.monotonic()))  # of now: probes are dated by it

    def _flush(self, now_s: float) -> None:
        self._next_flush_s = now_s + self.settings.flush_interval_s
        self.journal.flush(now_s)
        self._control_delay.flush()

    # -- actions ---------------------------------------------------------------------------------

    def _perform(self, outputs: Iterable[Output], packet: PacketIn = NO_PACKET) -> None:
        self.performer.perform(outputs, packet)
        self._timers.look_again()

    def _performer(self) -> Performer:
        words = wording.table(
            self.settings.uplink_port, self.settings.d_router.prefixes, self.d_router.services, self._tunnel
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
        probes = self._measuring.probes
        try:
            if probes is not None and message.kind in PROBE_KINDS:
                probes.send(message.data, str(message.to))
            else:
                self._in_band.sendto(message.data, (str(message.to), self.settings.in_band_port))
        except OSError as error:  # no route, a full queue: as lost as any datagram, but counted
            self.d_router.counters["messages_unsent"] += 1
            self.logger.debug("not sent to %s: %s", message.to, error)
            return
        peer = self._site_of.get(message.to, str(message.to))
        self.journal.message("sent", peer, message.kind, len(message.data))
