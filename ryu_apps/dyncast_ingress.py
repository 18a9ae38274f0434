"""The Dyncast ingress app: OpenFlow events and datagrams → `DRouter` → Flow-Mods and datagrams.

A shim: it owns sockets, the clock and OpenFlow sessions, and decides nothing. Start it with
`python -m ryu_apps.launcher CONFIG.json`, or with `ryu-manager --dyncast-config CONFIG.json`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

from ryu_apps import config as control_config
from ryu_apps import flow_entries
from ryu_apps.framework import BaseApp, cfg, handler, hub, ofp_event, ofproto_v1_3
from ryu_apps.journal import Journal
from ryu_apps.packet_headers import flow_key
from ryu_apps.pool_entries import PoolSpec
from ryu_apps.pools import Pools
from ryu_apps.select_groups import GroupError, SelectGroups
from testbed.conntrack import Conntrack, ConntrackError
from testbed.dyncast.actions import (
    Action,
    BreakFlows,
    Decided,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    InterceptService,
    MetricsReceived,
    ReadReturnPackets,
    RefusePacket,
    RemoveAffinity,
    SendMessage,
    SpreadFlows,
)
from testbed.dyncast.codec import Address
from testbed.dyncast.d_router import DRouter
from testbed.dyncast.flows import Service
from testbed.process_config import ConfigError
from testbed.records import RecordWriter

cfg.CONF.register_cli_opts([cfg.StrOpt("dyncast-config", help="configuration of this D-Router, a JSON file")])

_TICK_S = 0.05
_FLUSH_INTERVAL_S = 1.0
_COUNT_INTERVAL_S = 0.25
_USAGE_INTERVAL_S = 5.0
_STAMP_INTERVAL_S = 1.0
_LARGEST_DATAGRAM = 65535


class DyncastIngress(BaseApp):  # type: ignore[misc]
    """One D-Router's control process."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = control_config.load(Path(cfg.CONF.dyncast_config))
        self.d_router = DRouter(self.settings.d_router, Random(self.settings.seed))
        records = RecordWriter(self.settings.out_dir, self.settings.name)
        self.journal = Journal(records, self.settings.site, self.d_router.counters)
        self._datapath: Any = None
        self._own_threads: list[Any] = []
        self._in_band = _udp_socket(self.settings.in_band_fd)
        self._pools = _pools(self.settings)
        self._refused: dict[Address, int] = {}
        self._next_count_s = self._next_usage_s = self._next_stamp_s = 0.0
        self._tidy_s: float | None = None
        self._site_of = {peer.address: peer.site for peer in self.settings.d_router.peers}

    def start(self) -> None:
        """Start the event loop of the framework, and ours."""
        super().start()
        self._own_threads = [hub.spawn(self._or_end, loop) for loop in (self._hear, self._tick)]

    def stop(self) -> None:
        """End our loops, which would never end by themselves, then the framework's."""
        for thread in self._own_threads:
            hub.kill(thread)
        super().stop()

    def close(self) -> None:
        """Write down what is not written yet."""
        self.journal.close(time.monotonic())

    # -- OpenFlow --------------------------------------------------------------------------------

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)
    def on_switch(self, event: Any) -> None:
        """Take over a switch that connected or came back."""
        datapath = event.msg.datapath
        if datapath.id != self.settings.datapath_id:
            self.logger.warning("switch %s is not ours (%s); ignored", datapath.id, self.settings.datapath_id)
            return
        self._datapath = datapath
        for message in flow_entries.remove_everything_of_ours(datapath):
            datapath.send_msg(message)
        datapath.send_msg(flow_entries.ordinary_traffic(datapath))
        if self._pools is not None:
            self._pools.connect(datapath, datapath.send_msg)
            self._tidy_s = time.monotonic() + self.settings.d_router.metric_lifetime_s
        self._perform(self.d_router.on_switch_connected(time.monotonic()))
        (self.settings.out_dir / f"{self.settings.name}.ready").touch()

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)
    def on_packet_in(self, event: Any) -> None:
        """Steer the first packet of a flow."""
        message = event.msg
        if message.datapath is not self._datapath:
            return
        flow = flow_key(message.data)
        if flow is None:
            self.d_router.counters["dropped_no_flow"] += 1
            return
        actions = self.d_router.on_packet(flow, time.monotonic())
        self._perform(actions, message.match["in_port"], message.data)

    @handler.set_ev_cls(ofp_event.EventOFPFlowRemoved, handler.MAIN_DISPATCHER)
    def on_flow_removed(self, event: Any) -> None:
        """Hear of an entry that left the switch."""
        message = event.msg
        if message.datapath is not self._datapath:
            return
        if flow_entries.is_affinity(message.cookie) and message.reason != ofproto_v1_3.OFPRR_DELETE:
            number = flow_entries.number_of(message.cookie)
            idle = message.reason == ofproto_v1_3.OFPRR_IDLE_TIMEOUT
            self._perform(self.d_router.on_forward_entry_removed(number, idle))

    @handler.set_ev_cls(ofp_event.EventOFPFlowStatsReply, handler.MAIN_DISPATCHER)
    def on_counters(self, event: Any) -> None:
        """Hear how much came home on a flow whose way to the service idled out."""
        if event.msg.datapath is not self._datapath:
            return
        for entry_read in event.msg.body:
            number = flow_entries.number_of(entry_read.cookie)
            if self._counted_in_pool(entry_read):
                continue
            entry = self.d_router.affinity.numbered(number)
            if entry is not None and flow_entries.is_homeward(entry_read.match, entry):
                packets = entry_read.packet_count
                self._perform(self.d_router.on_return_packets(number, packets, time.monotonic()))

    @handler.set_ev_cls(ofp_event.EventOFPStateChange, handler.DEAD_DISPATCHER)
    def on_switch_gone(self, event: Any) -> None:
        """Forget a switch that went away; it is taken over anew when it comes back."""
        if event.datapath is self._datapath:
            self._datapath = None
            self.d_router.counters["switch_lost"] += 1

    @handler.set_ev_cls(ofp_event.EventOFPErrorMsg, handler.MAIN_DISPATCHER)
    def on_error(self, event: Any) -> None:
        """Count what the switch refused."""
        self.d_router.counters["switch_errors"] += 1
        self.logger.error("switch refused a message: type %s code %s", event.msg.type, event.msg.code)

    # -- in band ---------------------------------------------------------------------------------

    def _or_end(self, loop: Callable[[], None]) -> None:
        """Run a loop; if it fails, end the process: a D-Router that is deaf must not look alive."""
        try:
            loop()
        except Exception:
            self.logger.exception("the D-Router cannot go on")
            self.close()
            os._exit(1)

    def _hear(self) -> None:
        while True:
            data, address = self._in_band.recvfrom(_LARGEST_DATAGRAM)
            now_s = time.monotonic()
            source = ip_address(address[0])
            self.journal.message("received", self._site_of.get(source, str(source)), "any", len(data))
            self._perform(self.d_router.on_message(data, source, now_s))

    def _tick(self) -> None:
        next_flush_s = 0.0
        while True:
            now_s = time.monotonic()
            self._perform(self.d_router.on_timer(now_s))
            self._watch_pools(now_s)
            if now_s >= next_flush_s:
                self.journal.flush(now_s)
                next_flush_s = now_s + _FLUSH_INTERVAL_S
            hub.sleep(_TICK_S)

    # -- actions ---------------------------------------------------------------------------------

    def _perform(self, actions: Iterable[Action], in_port: int = 0, data: bytes = b"") -> None:
        for action in actions:
            if isinstance(action, SendMessage):
                self._send(action)
            elif isinstance(action, Decided):
                self.journal.decided(action)
            elif isinstance(action, MetricsReceived):
                self.journal.metrics(action, self.d_router.bindings)
            elif isinstance(action, (SpreadFlows, BreakFlows)):
                self._perform_in_pool(action)
            elif not isinstance(action, DropPacket):
                for message in self._openflow(action, in_port, data):
                    self._datapath.send_msg(message)

    def _openflow(self, action: Action, in_port: int, data: bytes) -> list[Any]:
        datapath, uplink = self._datapath, self.settings.uplink_port
        if datapath is None:  # the switch is away; all bindings are put back when it returns
            return []
        if isinstance(action, InterceptService):
            return [flow_entries.intercept_service(datapath, action.d_sid)]
        if isinstance(action, InstallAffinity):
            return flow_entries.affinity(datapath, action.entry, uplink)
        if isinstance(action, ForwardPacket):
            return [flow_entries.forward_packet(datapath, action.entry, uplink, in_port, data)]
        if isinstance(action, RefusePacket):
            return [flow_entries.refuse_packet(datapath, uplink, in_port, data)]
        if isinstance(action, ReadReturnPackets):
            return [flow_entries.read_counters(datapath, action.entry)]
        if isinstance(action, RemoveAffinity):
            return [flow_entries.remove_affinity(datapath, action.entry)]
        raise TypeError(f"no OpenFlow for {action}")

    def _perform_in_pool(self, action: SpreadFlows | BreakFlows) -> None:
        if self._pools is None or self._datapath is None:
            return
        try:
            if isinstance(action, SpreadFlows):
                self._pools.spread(action, time.monotonic())
                self.journal.spread(action, self._service_of(action.d_sid).name, time.monotonic())
            else:
                self.d_router.counters["flows_broken"] += self._pools.break_flows(action.d_sid, action.d_bid)
        except GroupError as error:
            self._fall_back(self._service_of(action.d_sid).name, str(error))
        except ConntrackError as error:
            self.logger.warning("%s", error)

    def _watch_pools(self, now_s: float) -> None:
        """Read what the switch counted; see whether connections find no room; tidy up after a predecessor."""
        if self._pools is None or self._datapath is None:
            return
        if now_s >= self._next_count_s:
            self._next_count_s = now_s + _COUNT_INTERVAL_S
            self._pools.ask_for_counts()
        if now_s >= self._next_stamp_s:
            self._next_stamp_s = now_s + _STAMP_INTERVAL_S
            self._pools.stamp(now_s)
        if self._tidy_s is not None and now_s >= self._tidy_s:
            self._tidy_s = None
            self._pools.remove_older_generations()
        if now_s >= self._next_usage_s:
            self._next_usage_s = now_s + _USAGE_INTERVAL_S
            self._see_whether_connections_find_room()

    def _see_whether_connections_find_room(self) -> None:
        try:
            refused = self._pools.connections_refused() if self._pools else 0
        except ConntrackError as error:
            self.logger.warning("%s", error)
            return
        if refused:
            self.d_router.counters["refused_conntrack_full"] += refused
            self.logger.warning("the connection table is full: %d connections refused", refused)

    def _counted_in_pool(self, counted: Any) -> bool:
        """Take in the count of an entry of a pool; tell whether it was one."""
        if self._pools is None:
            return False
        given = self._pools.given(counted.cookie)
        if given is not None:
            self.d_router.on_flows_given(*given, counted.packet_count, time.monotonic())
            return True
        refused = self._pools.refused(counted.cookie)
        if refused is not None:
            self._refused[refused] = counted.packet_count
            self.d_router.counters["refused_by_switch"] = sum(self._refused.values())
        return refused is not None

    def _fall_back(self, service: str, reason: str) -> None:
        """Bind a service's flows from here: the switch cannot."""
        self.logger.warning("%s: no datapath mode (%s); falling back to reactive", service, reason)
        self.d_router.counters["fell_back_to_reactive"] += 1
        actions = self.d_router.on_datapath_mode_refused(service)
        for action in actions:
            if self._pools is not None and isinstance(action, InterceptService):
                self._pools.remove(action.d_sid)
        self._perform(actions)

    def _service_of(self, d_sid: Address) -> Service:
        return next(service for service in self.settings.d_router.services if d_sid in service.d_sids)

    def _send(self, message: SendMessage) -> None:
        try:
            self._in_band.sendto(message.data, (str(message.to), self.settings.in_band_port))
        except OSError as error:  # no route, a full queue: as lost as any datagram, but counted
            self.d_router.counters["messages_unsent"] += 1
            self.logger.debug("not sent to %s: %s", message.to, error)
            return
        peer = self._site_of.get(message.to, str(message.to))
        self.journal.message("sent", peer, message.kind, len(message.data))


def _pools(settings: control_config.ControlConfig) -> Pools | None:
    services = [service for service in settings.d_router.services if service.name in settings.ct_zones]
    if settings.switch is None or not services:
        return None
    d_sids = [(service, d_sid) for service in services for d_sid in service.d_sids]
    return Pools(
        [PoolSpec(number, *of, settings.ct_zones[of[0].name]) for number, of in enumerate(d_sids, 1)],
        settings.switch.prefixes,
        settings.uplink_port,
        SelectGroups(settings.switch.management_socket),
        Conntrack(settings.switch.datapath_type),
        generation=os.getpid() & 0xFF,
    )


def _udp_socket(descriptor: int) -> socket.socket:
    """Return the socket that the starter left open. Raises ConfigError if that is none, or no UDP socket."""
    try:
        in_band = socket.socket(fileno=descriptor)
    except OSError as error:
        problem = f"in_band_fd: descriptor {descriptor} cannot be used: {error.strerror}"
        raise ConfigError(f"{problem}; the starter must leave a bound UDP socket open") from error
    if in_band.type != socket.SOCK_DGRAM:
        raise ConfigError(f"in_band_fd: descriptor {descriptor} must be a UDP socket")
    return in_band
