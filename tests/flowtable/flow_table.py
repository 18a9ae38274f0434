"""A flow table in memory: executes the Flow-Mods a switch would get, and says what becomes of a packet.

OpenFlow 1.3 with Open vSwitch's resubmit and conntrack, and no more of it than the apps use: whatever else a message
holds raises `Unsupported`, so that nothing passes unseen. Messages are bytes, read by the framework's parser: what is
executed is what goes on the wire. Packets are dicts of OXM fields with plain values (addresses as text).
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from ryu_apps.openflow.framework import NAME
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.framework import ofproto_v1_3_parser as parser

_ofproto_parser = importlib.import_module(f"{NAME}.ofproto.ofproto_parser")
_ofproto_protocol = importlib.import_module(f"{NAME}.ofproto.ofproto_protocol")

DATAPATH = _ofproto_protocol.ProtocolDesc(version=ofp.OFP_VERSION)
NORMAL = ofp.OFPP_NORMAL
CONTROLLER = ofp.OFPP_CONTROLLER

_HEADER_SIZE = 8
_STATISTICS_REQUEST = struct.Struct("!B3xII4xQQ")
_PREREQUISITES = {
    "ipv4_src": ("eth_type", {0x0800}),
    "ipv4_dst": ("eth_type", {0x0800}),
    "ipv6_src": ("eth_type", {0x86DD}),
    "ipv6_dst": ("eth_type", {0x86DD}),
    "ip_proto": ("eth_type", {0x0800, 0x86DD}),
    "tcp_src": ("ip_proto", {6}),
    "tcp_dst": ("ip_proto", {6}),
    "udp_src": ("ip_proto", {17}),
    "udp_dst": ("ip_proto", {17}),
    "icmpv4_type": ("ip_proto", {1}),
    "icmpv4_code": ("ip_proto", {1}),
    "icmpv6_type": ("ip_proto", {58}),
    "ip_frag": ("eth_type", {0x0800, 0x86DD}),
}
_METADATA = {"reg7": 0, "ip_frag": 0, "ct_state": 0, "tcp_flags_nxm": 0x10}  # what every packet has
_NEW, _KNOWN, _ANSWER = 0x21, 0x22, 0x2A  # states of conntrack
_COMMITS, _NO_TABLE = 1, 0xFF
_MOST_RESUBMISSIONS = 4
_MASKED = {"ip_frag", "ct_state", "tcp_flags_nxm"}  # flags
_PORTS = ("tcp_src", "tcp_dst", "udp_src", "udp_dst")

Packet = Mapping[str, Any]
Again = Callable[[Any, Packet], "list[Output]"]
"""Runs a packet through a table once more, as an action says."""


class Unsupported(Exception):
    """A message that holds something this table does not know, or that a switch would refuse."""


class Output(NamedTuple):
    """A packet as it leaves, and where."""

    port: int
    packet: dict[str, Any]


class FlowRemoved(NamedTuple):
    """What the switch tells the controller of an entry that left."""

    cookie: int
    reason: int
    packet_count: int


@dataclass
class FlowEntry:
    """One entry of the table."""

    priority: int
    match: dict[str, Any]
    actions: list[Any]
    cookie: int
    idle_timeout_s: int
    reports_removal: bool
    used_s: float
    table: int = 0
    packet_count: int = 0

    def matches(self, packet: Packet) -> bool:
        return all(_fits(packet.get(name, _METADATA.get(name)), value) for name, value in self.match.items())


class FlowTable:
    """The entries of one switch. Every call says what time it is."""

    def __init__(self) -> None:
        self.entries: list[FlowEntry] = []
        self.connections: dict[int, set[tuple[Any, ...]]] = {}  # what conntrack has been given to know, by zone

    def execute(self, messages: bytes, now_s: float = 0.0) -> list[FlowRemoved]:
        """Carry out Flow-Mods. Returns what the controller hears of entries that left through them."""
        removed = []
        for change in flow_mods(messages):
            if change.command == ofp.OFPFC_ADD:
                self._add(change, now_s)
            elif change.command == ofp.OFPFC_DELETE:
                removed += self._delete(change)
            elif change.command == ofp.OFPFC_DELETE_STRICT:
                removed += self._delete_one(change)
            else:
                raise Unsupported(f"command {change.command}")
        return removed

    def send(self, packet: Packet, now_s: float = 0.0) -> list[Output]:
        """Run a packet through the tables; nothing comes out where no entry matches."""
        return self._run(packet, now_s, 0, 0)

    def packet_out(self, message: bytes, packet: Packet, now_s: float = 0.0) -> list[Output]:
        """Say what becomes of a packet that a Packet-Out has run through the tables."""
        return packet_out(message, packet, lambda action, again: self._again(action, again, now_s, 0))

    def _run(self, packet: Packet, now_s: float, table: int, times: int) -> list[Output]:
        if times > _MOST_RESUBMISSIONS:
            raise Unsupported(f"a loop: {packet}")
        found = [entry for entry in self.entries if entry.table == table and entry.matches(packet)]
        if not found:
            return []
        highest = max(entry.priority for entry in found)
        winners = [entry for entry in found if entry.priority == highest]
        if len(winners) > 1:
            raise Unsupported(f"{len(winners)} entries of priority {highest} match {packet}: the choice is undefined")
        winners[0].used_s = now_s
        winners[0].packet_count += 1
        return _act(winners[0].actions, packet, lambda action, again: self._again(action, again, now_s, times))

    def _again(self, action: Any, packet: Packet, now_s: float, times: int) -> list[Output]:
        if isinstance(action, parser.NXActionResubmitTable):
            return self._run(packet, now_s, action.table_id, times + 1)
        if action.actions or action.flags & ~_COMMITS:
            raise Unsupported(str(action))
        known, (ends, turned) = self.connections.setdefault(action.zone_ofs_nbits, set()), _ends(packet)
        state = _KNOWN if ends in known else _ANSWER if turned in known else _NEW
        if action.flags and state == _NEW:
            known.add(ends)
        if action.recirc_table == _NO_TABLE:
            return []
        return self._run({**packet, "ct_state": state}, now_s, action.recirc_table, times + 1)

    def expire(self, now_s: float) -> list[FlowRemoved]:
        """Remove what has been idle for its timeout."""
        idle = [item for item in self.entries if item.idle_timeout_s and now_s - item.used_s >= item.idle_timeout_s]
        return self._remove(idle, ofp.OFPRR_IDLE_TIMEOUT)

    def counters(self, request: bytes) -> list[FlowEntry]:
        """Answer a flow-statistics request."""
        kind, length = struct.unpack_from("!xBH", request)
        if kind != ofp.OFPT_MULTIPART_REQUEST or length != len(request):
            raise Unsupported("no multipart request")
        if struct.unpack_from("!HH", request, _HEADER_SIZE) != (ofp.OFPMP_FLOW, 0):
            raise Unsupported("no request for the statistics of flows")
        table, port, group, cookie, mask = _STATISTICS_REQUEST.unpack_from(request, 16)
        if (table, port, group) != (ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY):
            raise Unsupported("statistics of less than everything")
        if _match(parser.OFPMatch.parser(request, 16 + _STATISTICS_REQUEST.size)):
            raise Unsupported("statistics of what matches")
        return [entry for entry in self.entries if entry.cookie & mask == cookie & mask]

    def _add(self, change: Any, now_s: float) -> None:
        if change.hard_timeout or change.buffer_id != ofp.OFP_NO_BUFFER:
            raise Unsupported(str(change))
        if change.flags & ~ofp.OFPFF_SEND_FLOW_REM:
            raise Unsupported(f"flags {change.flags}")
        added = FlowEntry(
            priority=change.priority,
            match=_match(change.match),
            actions=_actions(change.instructions),
            cookie=change.cookie,
            idle_timeout_s=change.idle_timeout,
            reports_removal=bool(change.flags & ofp.OFPFF_SEND_FLOW_REM),
            used_s=now_s,
            table=change.table_id,
        )
        for number, entry in enumerate(self.entries):
            if (entry.table, entry.priority, entry.match) == (added.table, added.priority, added.match):
                added.packet_count = entry.packet_count  # kept, for OFPFF_RESET_COUNTS was not asked for
                self.entries[number] = added
                return
        self.entries.append(added)

    def _delete(self, change: Any) -> list[FlowRemoved]:
        if change.table_id != ofp.OFPTT_ALL or (change.out_port, change.out_group) != (ofp.OFPP_ANY, ofp.OFPG_ANY):
            raise Unsupported(str(change))
        wanted = _match(change.match)
        gone = [
            entry
            for entry in self.entries
            if entry.cookie & change.cookie_mask == change.cookie & change.cookie_mask
            and wanted.items() <= entry.match.items()
        ]
        return self._remove(gone, ofp.OFPRR_DELETE)

    def _delete_one(self, change: Any) -> list[FlowRemoved]:
        if change.table_id != 0 or change.cookie_mask:
            raise Unsupported(str(change))
        wanted = change.priority, _match(change.match)
        return self._remove(
            [entry for entry in self.entries if entry.table == 0 and (entry.priority, entry.match) == wanted],
            ofp.OFPRR_DELETE,
        )

    def _remove(self, gone: list[FlowEntry], reason: int) -> list[FlowRemoved]:
        self.entries = [entry for entry in self.entries if entry not in gone]
        return [FlowRemoved(entry.cookie, reason, entry.packet_count) for entry in gone if entry.reports_removal]


def packet_out(message: bytes, packet: Packet, again: Again | None = None) -> list[Output]:
    """Say what becomes of a packet that a Packet-Out carries."""
    kind, size = struct.unpack_from("!xBH", message)
    if kind != ofp.OFPT_PACKET_OUT or size != len(message):
        raise Unsupported("no Packet-Out")
    buffer_id, in_port, length = struct.unpack_from("!IIH", message, _HEADER_SIZE)
    if buffer_id != ofp.OFP_NO_BUFFER:
        raise Unsupported(f"buffer {buffer_id}")
    actions, position = [], 24
    while position < 24 + length:
        action = parser.OFPAction.parser(message, position)
        actions.append(action)
        position += action.len
    outputs = _act(actions, packet, again)
    if any(output.port == in_port for output in outputs):
        raise Unsupported(f"a switch sends no packet back out of port {in_port}, where it came in")
    return outputs


def flow_mods(messages: bytes) -> Iterator[Any]:
    """Read Flow-Mods that follow one another."""
    while messages:
        version, kind, length, xid = _ofproto_parser.header(messages)
        received = _ofproto_parser.msg(DATAPATH, version, kind, length, xid, messages[:length])
        if not isinstance(received, parser.OFPFlowMod):
            raise Unsupported(f"{type(received).__name__} is no Flow-Mod")
        yield received
        messages = messages[length:]


def _ends(packet: Packet) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what a connection is known by, of a packet and of an answer to it."""
    version = 4 if packet["eth_type"] == 0x0800 else 6
    name = {6: "tcp", 17: "udp"}.get(packet["ip_proto"], "none")
    ports = packet.get("reassembled") or (packet.get(f"{name}_src"), packet.get(f"{name}_dst"))
    src, dst = (packet[f"ipv{version}_src"], ports[0]), (packet[f"ipv{version}_dst"], ports[1])
    return (packet["ip_proto"], src, dst), (packet["ip_proto"], dst, src)


def _match(match: Any) -> dict[str, Any]:
    fields = {name: _plain(name, value) for name, value in match.items()}
    for name in fields:
        if name in _PREREQUISITES:
            needed, values = _PREREQUISITES[name]
            if fields.get(needed) not in values:
                raise Unsupported(f"a switch refuses {name} without {needed} in {values}: {fields}")
    return fields


def _fits(field: Any, value: Any) -> bool:
    if isinstance(value, IPv4Network | IPv6Network):
        return field is not None and ip_address(field) in value
    if isinstance(value, tuple):
        return field is not None and field & value[1] == value[0]
    return bool(field == value)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        wanted, mask = value
        if name.startswith(("ipv4_", "ipv6_")):
            return ip_network(f"{wanted}/{int(ip_address(mask)).bit_count()}")
        if name in _MASKED:
            return value
        if name not in _PORTS or wanted & ~mask:
            raise Unsupported(f"masked field {name}={value}")
        return value
    return str(ip_address(value)) if name.startswith(("ipv4_", "ipv6_")) else value


def _actions(instructions: list[Any]) -> list[Any]:
    (instruction,) = instructions
    if instruction.type != ofp.OFPIT_APPLY_ACTIONS:
        raise Unsupported(str(instruction))
    return list(instruction.actions)


def _act(actions: list[Any], packet: Packet, again: Again | None = None) -> list[Output]:
    rewritten = dict(packet)
    outputs = []
    for action in actions:
        if isinstance(action, parser.OFPActionSetField) and action.key == "tunnel_id":
            pass  # goes with the packet inside the switch, and out of no port but a tunnel of its own
        elif isinstance(action, parser.OFPActionDecNwTtl):
            rewritten["ttl"] = packet["ttl"] - 1
            if rewritten["ttl"] < 1:
                return outputs
        elif isinstance(action, (parser.NXActionResubmitTable, parser.NXActionCT)):
            if again is None:
                raise Unsupported(str(action))
            outputs += again(action, rewritten)
        elif isinstance(action, parser.OFPActionSetField):
            if action.key not in packet and action.key not in _METADATA:
                raise Unsupported(f"set {action.key} of a packet that has none: {packet}")
            rewritten[action.key] = _plain(action.key, action.value)
        elif isinstance(action, parser.NXActionMultipath):
            pass  # a hash into a register, which no packet leaves with
        elif isinstance(action, parser.OFPActionOutput):
            outputs.append(Output(action.port, dict(rewritten)))
        else:
            raise Unsupported(str(action))
    return outputs
