"""Conversations of clients with instances, read from packets: who spoke first, and what is about which."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.experiment.systems.dyncast.run.conversations import Conversations, Packet, read
from testbed.experiment.systems.dyncast.run.direct_traffic import direct_filter
from testbed.linux.packet_filter import AND, JEQ, LDB, LDW, PACKET_TYPE, RET

CLIENT = {4: "10.1.0.20", 6: "fd00:d:1::20"}
D_BID = {4: "10.2.0.10", 6: "fd00:d:2::10"}
D_SID = {4: "203.0.113.10", 6: "2001:db8:5::10"}
_NUMBER = {"tcp": 6, "udp": 17}


def ip(src: str, dst: str, protocol: int, payload: bytes, offset: int = 0) -> bytes:
    source, destination = ip_address(src).packed, ip_address(dst).packed
    if len(source) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, offset, 64, protocol, 0)
        return head + source + destination + payload
    if offset:
        payload = struct.pack("!BBHI", protocol, 0, offset << 3, 7) + payload
        protocol = 44
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source + destination + payload


def datagram(src: str, src_port: int, dst: str, dst_port: int, protocol: str = "udp", offset: int = 0) -> bytes:
    ports = bytes(8) if offset else struct.pack("!HHHH", src_port, dst_port, 8, 0)
    return ip(src, dst, _NUMBER[protocol], ports + bytes(12), offset)


def error(src: str, dst: str, about: bytes) -> bytes:
    number, kind = (1, 3) if ip_address(src).version == 4 else (58, 1)
    return ip(src, dst, number, bytes([kind, 3, 0, 0, 0, 0, 0, 0]) + about)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_packet_says_its_conversation(version: int, protocol: str) -> None:
    client, d_bid = CLIENT[version], D_BID[version]
    assert read(datagram(client, 4000, d_bid, 80, protocol)) == Packet(protocol, client, 4000, d_bid, 80)
    assert read(datagram(client, 4000, d_bid, 80, protocol, offset=9)) == Packet(protocol, client, 0, d_bid, 0)
    about = datagram(client, 4000, d_bid, 80, protocol)
    assert read(error(d_bid, client, about)) == Packet(protocol, d_bid, 80, client, 4000)


@given(st.binary(max_size=120))
def test_no_octets_are_an_exception(data: bytes) -> None:
    read(data)


@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_is_a_leak_unless_the_client_spoke_first(version: int) -> None:
    client, d_bid, other = CLIENT[version], D_BID[version], D_SID[version]
    asked = datagram(client, 4000, d_bid, 80)
    found = Conversations([d_bid])
    found.note("client-1@east", asked, True, 1.0)
    found.note("client-1@east", datagram(d_bid, 80, client, 4000), False, 1.1)
    found.note("client-1@east", asked, True, 1.2)
    found.note("client-1@east", datagram(d_bid, 80, client, 4001), False, 2.0)
    found.note("client-1@east", error(client, d_bid, datagram(d_bid, 80, client, 4001)), True, 2.1)
    found.note("client-1@east", datagram(other, 80, client, 4002), False, 3.0)  # by the D-SID: as it should be
    rows = [(row["src_port"], row["asked"], row["answered"], row["first_s"], row["last_s"]) for row in found.rows()]
    assert rows == [(4000, 2, 1, 1.0, 1.2), (4001, 0, 1, 2.0, 2.1)]


@pytest.mark.parametrize("version", [4, 6])
def test_an_error_from_an_instance_about_a_steered_flow_is_a_leak(version: int) -> None:
    found = Conversations([D_BID[version]])
    about = datagram(CLIENT[version], 4000, D_SID[version], 80)
    found.note("client-1@east", error(D_BID[version], CLIENT[version], about), False, 1.0)
    (row,) = found.rows()
    assert (row["asked"], row["answered"], row["src_port"], row["dst_port"]) == (0, 1, 4000, 80)


def _takes(data: bytes, kind: int) -> bool:
    """Run the filter as the kernel does."""
    accumulator = at = 0
    program = direct_filter()
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case _ if code == LDW:
                assert operand == PACKET_TYPE
                accumulator = kind
            case _ if code == LDB:
                accumulator = data[operand]
            case _ if code == AND:
                accumulator &= operand
            case _ if code == JEQ:
                at += if_true if accumulator == operand else if_false
            case _:
                assert code == RET
                return operand > 0


@pytest.mark.parametrize("version", [4, 6])
def test_the_filter_takes_what_is_between_hosts_and_nothing_by_a_d_sid(version: int) -> None:
    there, back = (CLIENT[version], 4000), (D_BID[version], 80)
    by_d_sid = (D_SID[version], 80)
    assert _takes(datagram(*there, *back), socket.PACKET_OUTGOING)
    assert _takes(datagram(*back, *there), socket.PACKET_HOST)
    assert not _takes(datagram(*back, *there), socket.PACKET_OTHERHOST)
    assert not _takes(datagram(*there, *by_d_sid), socket.PACKET_OUTGOING)
    assert not _takes(datagram(*by_d_sid, *there), socket.PACKET_HOST)
    assert not _takes(bytes(60), socket.PACKET_HOST)
