"""Which packets the tap takes, what it makes of them, and the rows that follow."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest

from testbed.agents.host.flow_tap import (
    FlowKey,
    Seen,
    TappedFlows,
    flow_of,
    fragment_filter,
    packet_filter,
    reset_filter,
)
from testbed.linux.packet_filter import PACKET_TYPE

FIN, SYN, RST, ACK = 1, 2, 4, 16


def _transport(protocol: str, source_port: int, port: int, flags: int, payload: bytes) -> bytes:
    if protocol == "tcp":
        return struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, flags, 1000, 0, 0) + payload
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def packet(
    version: int, protocol: str, port: int, flags: int = SYN, payload: bytes = b"", fragment: int = 0, options: int = 0
) -> bytes:
    number = {"tcp": 6, "udp": 17}[protocol]
    segment = _transport(protocol, 40000, port, flags, payload)
    if version == 6:
        addresses = ipaddress.IPv6Address("fd00::20").packed + ipaddress.IPv6Address("fd00::10").packed
        return struct.pack("!IHBB", 6 << 28, len(segment), number, 64) + addresses + segment
    header_bytes = 20 + options
    addresses = ipaddress.IPv4Address("10.1.0.20").packed + ipaddress.IPv4Address("10.2.0.10").packed
    head = struct.pack(
        "!BBHHHBBH", 0x40 | header_bytes // 4, 0, header_bytes + len(segment), 7, fragment, 64, number, 0
    )
    return head + addresses + bytes(options) + segment


def run(program: list[tuple[int, int, int, int]], data: bytes, kind: int = socket.PACKET_HOST) -> int:
    """Run a classic BPF program as the kernel does; return how many bytes it takes."""
    accumulator = index = at = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        if code in (0x30, 0x50, 0x28, 0x48):
            place = operand + (index if code in (0x50, 0x48) else 0)
            form = "!B" if code in (0x30, 0x50) else "!H"
            if place + struct.calcsize(form) > len(data):
                return 0
            (accumulator,) = struct.unpack_from(form, data, place)
        elif code == 0x20:
            assert operand == PACKET_TYPE
            accumulator = kind
        elif code == 0x54:
            accumulator &= operand
        elif code == 0xB1:
            index = (data[operand] & 0xF) * 4
        elif code == 0x15:
            at += if_true if accumulator == operand else if_false
        elif code == 0x45:
            at += if_true if accumulator & operand else if_false
        else:
            assert code == 0x06
            return operand


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("wanted", "protocol", "port", "flags", "is_taken"),
    [
        ("tcp", "tcp", 80, SYN, True),
        ("tcp", "tcp", 80, FIN | ACK, True),
        ("tcp", "tcp", 80, RST, True),
        ("tcp", "tcp", 80, ACK, False),
        ("tcp", "tcp", 81, SYN, False),
        ("tcp", "udp", 80, 0, False),
        ("udp", "udp", 80, 0, True),
        ("udp", "udp", 81, 0, False),
        ("udp", "tcp", 80, SYN, False),
    ],
)
def test_the_filter_takes_packets_to_its_port(
    version: int, wanted: str, protocol: str, port: int, flags: int, is_taken: bool
) -> None:
    program = packet_filter(version == 6, wanted, 80)
    assert bool(run(program, packet(version, protocol, port, flags, b"x" * 12))) is is_taken


@pytest.mark.parametrize("version", [4, 6])
def test_resets_that_this_host_sends_from_its_port_are_taken(version: int) -> None:
    sent = packet(version, "tcp", 4000, RST | ACK)  # from port 40000
    program, other = reset_filter(version == 6, 40000), reset_filter(version == 4, 40000)
    assert run(program, sent, socket.PACKET_OUTGOING)
    assert not run(program, sent, socket.PACKET_HOST)
    assert not run(other, sent, socket.PACKET_OUTGOING)
    assert not run(program, packet(version, "tcp", 4000, FIN | ACK), socket.PACKET_OUTGOING)
    assert not run(reset_filter(version == 6, 4000), sent, socket.PACKET_OUTGOING)


def test_a_reset_by_the_host_ends_the_flow_that_it_answers() -> None:
    flows = TappedFlows("web-1@east", "web", "tcp")
    flows.note([_seen(1, 1.0, begins=True)])
    answer = Seen(FlowKey("tcp", "10.2.0.10", 80, "10.1.0.20", 1), 1.1, begins=False, ends=True, size_bytes=0)
    flows.note([answer.reversed()])
    (row,) = flows.due_rows(2.0)
    assert (row["src_port"], row["last_s"], row["ended"]) == (1, 1.1, 1)


def test_options_shift_the_ports_and_later_fragments_have_none() -> None:
    program = packet_filter(False, "udp", 5004)
    assert run(program, packet(4, "udp", 5004, options=8))
    assert not run(program, packet(4, "udp", 5004, fragment=0x00B9))
    assert run(program, packet(4, "udp", 5004, fragment=0x2000))  # the first of several


def fragment6(offset: int, *, has_more: bool, protocol: str = "udp") -> bytes:
    """A fragment of an IPv6 datagram of 3,000 octets; the first has the header of it all."""
    whole = packet(6, protocol, 5004, payload=bytes(3000))
    number, part = whole[6], whole[40 + offset : 40 + offset + 1448]
    header = struct.pack("!BBHI", number, 0, offset | has_more, 7)
    return whole[:4] + struct.pack("!HBB", len(header + part), 44, 64) + whole[8:40] + header + part


def test_of_a_fragmented_datagram_the_first_part_is_taken_once_and_tells_the_size_of_all() -> None:
    first, later = fragment6(0, has_more=True), fragment6(1448, has_more=True)
    programs = [packet_filter(True, "udp", 5004), fragment_filter("udp", 5004)]
    assert [bool(run(program, first)) for program in programs] == [False, True]
    assert [bool(run(program, later)) for program in programs] == [False, False]
    assert [bool(run(program, packet(6, "udp", 5004))) for program in programs] == [True, False]
    assert not run(programs[1], fragment6(0, has_more=True, protocol="tcp"))
    seen = flow_of(first[:128], 7.5, True, "udp")
    assert seen is not None
    assert (seen.key.src_port, seen.size_bytes) == (40000, 3000)
    of_ipv4 = flow_of(packet(4, "udp", 5004, payload=bytes(1400), fragment=0x2000)[:128], 7.5, False, "udp")
    assert of_ipv4 is not None and of_ipv4.size_bytes == 1400


@pytest.mark.parametrize(
    ("version", "source", "destination"), [(4, "10.1.0.20", "10.2.0.10"), (6, "fd00::20", "fd00::10")]
)
def test_a_packet_names_its_flow(version: int, source: str, destination: str) -> None:
    seen = flow_of(packet(version, "udp", 5004, payload=b"x" * 160)[:128], 7.5, version == 6, "udp")
    assert seen == Seen(FlowKey("udp", source, 40000, destination, 5004), 7.5, begins=True, ends=False, size_bytes=160)
    begin, end = (flow_of(packet(version, "tcp", 80, flags), 7.5, version == 6, "tcp") for flags in (SYN, FIN | ACK))
    assert begin is not None and end is not None
    assert (begin.begins, begin.ends, end.begins, end.ends) == (True, False, False, True)
    assert begin.key == end.key == FlowKey("tcp", source, 40000, destination, 80)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_packet_that_is_cut_short_is_of_no_flow(version: int, protocol: str) -> None:
    whole = packet(version, protocol, 5004)
    flows = [flow_of(whole[:length], 7.5, version == 6, protocol) for length in range(len(whole) + 1)]
    assert flows[0] is None
    assert flows[-1] is not None


def _seen(
    port: int, at_s: float, *, begins: bool = False, ends: bool = False, size_bytes: int = 0, proto: str = "tcp"
) -> Seen:
    return Seen(FlowKey(proto, "10.1.0.20", port, "10.2.0.10", 80), at_s, begins, ends, size_bytes)


def test_a_connection_is_a_row_from_its_first_packet_to_its_end() -> None:
    flows = TappedFlows("web-1@east", "web", "tcp")
    flows.note([_seen(1, 1.0, begins=True), _seen(2, 1.0, begins=True)])
    flows.note([_seen(1, 1.5, begins=True)])  # sent again
    flows.note([_seen(1, 2.0, ends=True), _seen(1, 2.5, ends=True), _seen(9, 2.5, ends=True)])
    assert (flows.started, flows.ended) == (2, 1)
    (row,) = flows.due_rows(2.0)
    assert row == {"instance": "web-1@east", "service": "web", "proto": "tcp", "src": "10.1.0.20", "src_port": 1,
                   "dst": "10.2.0.10", "dst_port": 80, "first_s": 1.0, "last_s": 2.0, "ended": 1}  # fmt: skip
    assert flows.due_rows(99.0) == []  # a quiet connection is still one
    assert [(row["src_port"], row["ended"]) for row in flows.all_rows()] == [(2, None)]


def test_a_udp_flow_is_counted_and_ends_by_idling() -> None:
    flows = TappedFlows("echo-1@east", "echo", "udp")
    for at_s in (1.0, 1.5, 2.0):
        flows.note([_seen(1, at_s, begins=True, size_bytes=100, proto="udp")])
    assert (flows.active(3.0), flows.active(4.1)) == (1, 0)
    assert flows.due_rows(31.0) == []
    (row,) = flows.due_rows(32.0)
    assert (row["packets"], row["bytes"], row["first_s"], row["last_s"]) == (3, 300, 1.0, 2.0)
    flows.note([_seen(1, 40.0, begins=True, size_bytes=100, proto="udp")])  # speaks again: another row
    assert flows.started == 2
