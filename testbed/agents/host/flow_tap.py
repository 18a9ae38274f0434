"""The flows that reach a port of this host, seen from outside of whoever serves them: from the packets themselves.

Owns the packet sockets and their filters, and the rows of `affinity` that follow. Of a TCP connection only the packets
that begin and end it are looked at, so that a row has times but no counts: what the client sends, and resets by this
host. Of UDP every packet's header is. Times are the kernel's. What it had to leave out is counted, for then the rows
are not all. Needs CAP_NET_RAW. Loopback is no network.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from testbed.agents.host.flow_ledger import IDLE_S, FlowKey, Row
from testbed.linux.packet_filter import (
    AND,
    JEQ,
    JSET,
    LDB,
    LDB_X,
    LDH,
    LDH_X,
    LDW,
    LDX_HEADER,
    PACKET_TYPE,
    RET,
    Instruction,
    attach,
)
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals

ACTIVE_S = 2.0  # a UDP flow with a packet so recently is a session, as RTP streams are

_SNAPPED_BYTES = 128
_BUFFER_BYTES = 1 << 22
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_ETH_P_IP, _ETH_P_IPV6, _ETH_P_ALL = 0x0800, 0x86DD, 0x0003  # outgoing packets reach sockets of the last one only
_PROTOCOLS = {"tcp": 6, "udp": 17}
_FIN, _SYN, _RST = 1, 2, 4
_IPV6_HEADER_BYTES, _FRAGMENT_HEADER_BYTES = 40, 8
_FRAGMENT = 44  # the next header


class Seen(NamedTuple):
    """What a packet says of its flow."""

    key: FlowKey
    at_s: float
    begins: bool
    ends: bool
    size_bytes: int

    def reversed(self) -> Seen:
        """Return the same of the flow that it answers."""
        proto, src, src_port, dst, dst_port = self.key
        return self._replace(key=FlowKey(proto, dst, dst_port, src, src_port))


_Step = tuple[int, int, bool | None]
"""Operation, operand, whether it must hold; None: it only loads."""


class FlowTap:
    """Packets to a port, on all interfaces. Raises OSError where packet sockets cannot be had."""

    def __init__(self, protocol: str, port: int) -> None:
        self._protocol = protocol
        self.dropped = 0  # packets that the kernel had no room for
        self.malformed = 0  # packets that are of no flow that could be read
        self.sockets: list[socket.socket] = []
        for ethertype in (_ETH_P_IP, _ETH_P_IPV6):
            self._open(ethertype, packet_filter(ethertype == _ETH_P_IPV6, protocol, port))
            if protocol == "tcp":
                self._open(_ETH_P_ALL, reset_filter(ethertype == _ETH_P_IPV6, port))
        self._open(_ETH_P_IPV6, fragment_filter(protocol, port))

    def read(self) -> list[Seen]:
        """Return what has come since."""
        seen = []
        for opened in self.sockets:
            with suppress(BlockingIOError):
                while True:
                    packet, ancillary, _, address = opened.recvmsg(_SNAPPED_BYTES, ARRIVAL_BYTES)
                    interface, ethertype, kind, *_ = address
                    if interface == "lo" or kind == socket.PACKET_OTHERHOST:  # a switch may flood what is for others
                        continue
                    flow = flow_of(packet, arrival_s(ancillary), ethertype == _ETH_P_IPV6, self._protocol)
                    if flow is not None and kind == socket.PACKET_OUTGOING:
                        flow = flow.reversed()
                    if flow is None:
                        self.malformed += 1
                    else:
                        seen.append(flow)
            _, dropped = struct.unpack("=II", opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
            self.dropped += dropped
        return seen

    def _open(self, ethertype: int, program: Sequence[Instruction]) -> None:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ethertype))
        self.sockets.append(opened)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        attach(opened, program)
        ask_for_arrivals(opened)

    def close(self) -> None:
        """Close the sockets."""
        for opened in self.sockets:
            opened.close()


class TappedFlows:
    """The flows of one instance; rows of `affinity` when they end or idle, as `FlowLedger` has them."""

    def __init__(self, instance: str, service: str, protocol: str) -> None:
        self._identity: Row = {"instance": instance, "service": service}
        self._is_tcp = protocol == "tcp"
        self._open: dict[FlowKey, list[float]] = {}  # first_s, last_s, packets, bytes
        self._ended: list[Row] = []
        self.started = 0

    @property
    def ended(self) -> int:
        """How many have ended or idled."""
        return self.started - len(self._open)

    def note(self, seen: Sequence[Seen]) -> None:
        """Take in packets."""
        for packet in seen:
            tally = self._open.get(packet.key)
            if tally is None:
                if not packet.begins:  # it began before anybody looked
                    continue
                self.started += 1
                self._open[packet.key] = [packet.at_s, packet.at_s, 1, packet.size_bytes]
            else:
                tally[1] = packet.at_s
                tally[2] += 1
                tally[3] += packet.size_bytes
            if packet.ends:
                self._end(packet.key, is_over=True)

    def active(self, now_s: float) -> int:
        """Return how many had a packet recently."""
        return sum(now_s - last_s < ACTIVE_S for _, last_s, _, _ in self._open.values())

    def due_rows(self, now_s: float) -> list[Row]:
        """Return, once, the rows of flows that ended or (UDP) idled."""
        if not self._is_tcp:
            for key in [key for key, (_, last_s, _, _) in self._open.items() if now_s - last_s >= IDLE_S]:
                self._end(key)
        rows, self._ended = self._ended, []
        return rows

    def all_rows(self) -> list[Row]:
        """Return, once, the rows of every flow there is."""
        for key in list(self._open):
            self._end(key)
        return self.due_rows(0.0)

    def _end(self, key: FlowKey, *, is_over: bool = False) -> None:
        first_s, last_s, packets, octets = self._open.pop(key)
        counts: Row = {"ended": 1 if is_over else None}
        if not self._is_tcp:
            counts = {"packets": int(packets), "bytes": int(octets)}
        self._ended.append({**self._identity, **key._asdict(), "first_s": first_s, "last_s": last_s, **counts})


def packet_filter(is_ipv6: bool, protocol: str, port: int) -> list[Instruction]:
    """Return a classic BPF program that takes packets to a port; of TCP those that begin or end a connection."""
    steps = _to_ports(is_ipv6, protocol, port, 2)
    if protocol == "tcp":
        steps += [_flags(is_ipv6), (JSET, _FIN | _SYN | _RST, True)]
    return _all(steps)


def fragment_filter(protocol: str, port: int) -> list[Instruction]:
    """Return the same for IPv6 fragments: of a datagram the first, which alone has ports."""
    at, segment_at = _IPV6_HEADER_BYTES, _IPV6_HEADER_BYTES + _FRAGMENT_HEADER_BYTES
    steps: list[_Step] = [(LDB, 6, None), (JEQ, _FRAGMENT, True), (LDH, at + 2, None), (JSET, 0xFFF8, False)]
    steps += [(LDB, at, None), (JEQ, _PROTOCOLS[protocol], True), (LDH, segment_at + 2, None), (JEQ, port, True)]
    if protocol == "tcp":
        steps += [(LDB, segment_at + 13, None), (JSET, _FIN | _SYN | _RST, True)]
    return _all(steps)


def reset_filter(is_ipv6: bool, port: int) -> list[Instruction]:
    """Return a classic BPF program that takes the resets which this host sends from a port."""
    steps: list[_Step] = [(LDW, PACKET_TYPE, None), (JEQ, socket.PACKET_OUTGOING, True)]
    steps += [(LDB, 0, None), (AND, 0xF0, None), (JEQ, (6 if is_ipv6 else 4) << 4, True)]
    return _all([*steps, *_to_ports(is_ipv6, "tcp", port, 0), _flags(is_ipv6), (JSET, _RST, True)])


def _to_ports(is_ipv6: bool, protocol: str, port: int, place: int) -> list[_Step]:
    """Return the steps that take a protocol and a port, which is at `place` after the header."""
    if is_ipv6:  # without extension headers, which nobody here sends
        steps: list[_Step] = [(LDB, 6, None), (JEQ, _PROTOCOLS[protocol], True)]
        return [*steps, (LDH, _IPV6_HEADER_BYTES + place, None), (JEQ, port, True)]
    # Of fragments only the first has ports.
    steps = [(LDB, 9, None), (JEQ, _PROTOCOLS[protocol], True), (LDH, 6, None), (JSET, 0x1FFF, False)]
    return [*steps, (LDX_HEADER, 0, None), (LDH_X, place, None), (JEQ, port, True)]


def _flags(is_ipv6: bool) -> _Step:
    """Return the step that loads TCP's flags."""
    return (LDB, _IPV6_HEADER_BYTES + 13, None) if is_ipv6 else (LDB_X, 13, None)


def _all(steps: Sequence[_Step]) -> list[Instruction]:
    """Return a program that takes a packet of which all steps hold."""
    program = []
    for index, (instruction, operand, must_hold) in enumerate(steps):
        to_refusal = len(steps) - index  # over what is left, and over the instruction that takes the packet
        if_true = to_refusal if must_hold is False else 0
        if_false = to_refusal if must_hold is True else 0
        program.append((instruction, if_true, if_false, operand))
    return [*program, (RET, 0, 0, _SNAPPED_BYTES), (RET, 0, 0, 0)]


def flow_of(packet: bytes, at_s: float, is_ipv6: bool, protocol: str) -> Seen | None:
    """Return the flow that an IP packet of `at_s` is of; None if it is cut short, or no packet at all."""
    try:
        return _flow_of(packet, at_s, is_ipv6, protocol)
    except (struct.error, ValueError, IndexError):
        return None


def _flow_of(packet: bytes, at_s: float, is_ipv6: bool, protocol: str) -> Seen:
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    if is_ipv6:
        source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
        header_bytes = _IPV6_HEADER_BYTES + (_FRAGMENT_HEADER_BYTES if packet[6] == _FRAGMENT else 0)
    else:
        source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
        header_bytes = (packet[0] & 0xF) * 4
    source_port, port = struct.unpack_from("!HH", packet, header_bytes)
    key = FlowKey(protocol, str(source), source_port, str(destination), port)
    if protocol == "udp":  # its own header says how long it is as a whole
        (udp_bytes,) = struct.unpack_from("!H", packet, header_bytes + 4)
        return Seen(key, at_s, begins=True, ends=False, size_bytes=udp_bytes - 8)
    flags = packet[header_bytes + 13]
    return Seen(key, at_s, begins=bool(flags & _SYN), ends=bool(flags & (_FIN | _RST)), size_bytes=0)
