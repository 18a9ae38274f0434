"""The flows that reach a port of this host, seen from outside of whoever serves them: from the packets themselves.

Owns the packet sockets and their filter, and the rows of `affinity` that follow. Of a TCP connection only the packets
that begin and end it are looked at, so that a row has times but no counts; of UDP every packet's header is. Times are
the kernel's. What it had to leave out is counted, for then the rows are not all. Needs CAP_NET_RAW. Loopback is no
network.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from testbed.agents.host.flow_ledger import IDLE_S, FlowKey, Row
from testbed.linux.packet_filter import JEQ, JSET, LDB, LDB_X, LDH, LDH_X, LDX_HEADER, RET, Instruction, attach
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals

ACTIVE_S = 2.0  # a UDP flow that was heard so lately is a session, as RTP streams are

_SNAPPED_BYTES = 128
_BUFFER_BYTES = 1 << 22
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_ETH_P_IP, _ETH_P_IPV6 = 0x0800, 0x86DD
_PROTOCOLS = {"tcp": 6, "udp": 17}
_FIN, _SYN, _RST = 1, 2, 4
_IPV6_HEADER_BYTES = 40


class Seen(NamedTuple):
    """What a packet says of its flow."""

    key: FlowKey
    at_s: float
    begins: bool
    ends: bool
    size_bytes: int


class FlowTap:
    """Packets to a port, on all interfaces. Raises OSError where packet sockets cannot be had."""

    def __init__(self, protocol: str, port: int) -> None:
        self._protocol = protocol
        self.unseen = 0  # packets that the kernel had no room for
        self.sockets: list[socket.socket] = []
        for ethertype in (_ETH_P_IP, _ETH_P_IPV6):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ethertype))
            self.sockets.append(opened)
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            attach(opened, packet_filter(ethertype == _ETH_P_IPV6, protocol, port))
            ask_for_arrivals(opened)

    def read(self) -> list[Seen]:
        """Return what has come since."""
        seen = []
        for opened in self.sockets:
            with suppress(BlockingIOError):
                while True:
                    packet, ancillary, _, (interface, ethertype, *_) = opened.recvmsg(_SNAPPED_BYTES, ARRIVAL_BYTES)
                    if interface != "lo":
                        seen.append(flow_of(packet, arrival_s(ancillary), ethertype == _ETH_P_IPV6, self._protocol))
            _, dropped = struct.unpack("=II", opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
            self.unseen += dropped
        return seen

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
                self._end(packet.key)

    def active(self, now_s: float) -> int:
        """Return how many were heard of late."""
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

    def _end(self, key: FlowKey) -> None:
        first_s, last_s, packets, octets = self._open.pop(key)
        counts: Row = {} if self._is_tcp else {"packets": int(packets), "bytes": int(octets)}
        self._ended.append({**self._identity, **key._asdict(), "first_s": first_s, "last_s": last_s, **counts})


def packet_filter(is_ipv6: bool, protocol: str, port: int) -> list[Instruction]:
    """Return a classic BPF program that takes packets to a port; of TCP those that begin or end a connection."""
    # (instruction, operand, whether it must hold); None: it only loads.
    steps: list[tuple[int, int, bool | None]]
    if is_ipv6:  # without extension headers, which nobody here sends
        steps = [(LDB, 6, None), (JEQ, _PROTOCOLS[protocol], True)]
        steps += [(LDH, _IPV6_HEADER_BYTES + 2, None), (JEQ, port, True)]
        flags = (LDB, _IPV6_HEADER_BYTES + 13, None)
    else:  # of fragments only the first has ports
        steps = [(LDB, 9, None), (JEQ, _PROTOCOLS[protocol], True), (LDH, 6, None), (JSET, 0x1FFF, False)]
        steps += [(LDX_HEADER, 0, None), (LDH_X, 2, None), (JEQ, port, True)]
        flags = (LDB_X, 13, None)
    if protocol == "tcp":
        steps += [flags, (JSET, _FIN | _SYN | _RST, True)]
    program = []
    for index, (instruction, operand, must_hold) in enumerate(steps):
        to_refusal = len(steps) - index  # over what is left, and over the instruction that takes the packet
        if_true = to_refusal if must_hold is False else 0
        if_false = to_refusal if must_hold is True else 0
        program.append((instruction, if_true, if_false, operand))
    return [*program, (RET, 0, 0, _SNAPPED_BYTES), (RET, 0, 0, 0)]


def flow_of(packet: bytes, at_s: float, is_ipv6: bool, protocol: str) -> Seen:
    """Return the flow that an IP packet of `at_s`, as the filter lets it through, is of."""
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    if is_ipv6:
        source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
        header_bytes, size_bytes = _IPV6_HEADER_BYTES, struct.unpack_from("!H", packet, 4)[0]
    else:
        source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
        header_bytes = (packet[0] & 0xF) * 4
        size_bytes = struct.unpack_from("!H", packet, 2)[0] - header_bytes
    source_port, port = struct.unpack_from("!HH", packet, header_bytes)
    key = FlowKey(protocol, str(source), source_port, str(destination), port)
    if protocol == "udp":
        return Seen(key, at_s, begins=True, ends=False, size_bytes=size_bytes - 8)
    flags = packet[header_bytes + 13]
    return Seen(key, at_s, begins=bool(flags & _SYN), ends=bool(flags & (_FIN | _RST)), size_bytes=0)
