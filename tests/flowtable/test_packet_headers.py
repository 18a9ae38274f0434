"""Flow keys of real packets, as a switch sends them up."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_apps.openflow.packets.packet_headers import flow_key
from testbed.net.flow_key import TCP, UDP, FlowKey
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6

_MAC = bytes(12)
_UDP_HEADER = struct.pack("!HHHH", 40000, 5004, 12, 0) + b"data"
_TCP_HEADER = struct.pack("!HHIIBBHHH", 40000, 80, 0, 0, 5 << 4, 2, 1000, 0, 0)


def ipv4(proto: int, payload: bytes, fragment: int = 0, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    size = 4 * words + len(payload)
    header = struct.pack("!BBHHHBBH", 4 << 4 | words, 0, size, 0, fragment, 64, proto, 0)
    return _MAC + b"\x08\x00" + header + CLIENT.packed + D_SID.packed + options + payload


def ipv6(next_header: int, payload: bytes) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
    return _MAC + b"\x86\xdd" + header + CLIENT6.packed + D_SID6.packed + payload


def key4(proto: int, src_port: int | None = None, dst_port: int | None = None) -> FlowKey:
    return FlowKey(CLIENT, D_SID, proto, src_port, dst_port)


def key6(proto: int, src_port: int | None = None, dst_port: int | None = None) -> FlowKey:
    return FlowKey(CLIENT6, D_SID6, proto, src_port, dst_port)


def fragment6(offset: int, more: int) -> bytes:
    return struct.pack("!BBHI", UDP, 0, offset << 3 | more, 9)


_MORE_FRAGMENTS = 1 << 13
_HOP_BY_HOP = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ipv4(TCP, _TCP_HEADER), key4(TCP, 40000, 80)),
        (ipv4(UDP, _UDP_HEADER), key4(UDP, 40000, 5004)),
        (ipv4(UDP, _UDP_HEADER, options=b"\1\1\1\0"), key4(UDP, 40000, 5004)),
        (ipv4(UDP, _UDP_HEADER) + bytes(20), key4(UDP, 40000, 5004)),  # padded to the least frame
        (ipv4(1, b"\x08\0" + bytes(6)), key4(1)),
        (ipv4(132, bytes(12)), key4(132)),
        (ipv6(TCP, _TCP_HEADER), key6(TCP, 40000, 80)),
        (ipv6(UDP, _UDP_HEADER), key6(UDP, 40000, 5004)),
        (ipv6(0, _HOP_BY_HOP + _UDP_HEADER), key6(UDP, 40000, 5004)),
        (ipv6(58, b"\x80\0" + bytes(6)), key6(58)),
    ],
)
def test_the_key_is_read(frame: bytes, expected: FlowKey) -> None:
    assert flow_key(frame) == expected


def test_a_vlan_tag_is_passed_over() -> None:
    frame = ipv4(UDP, _UDP_HEADER)
    assert flow_key(frame[:12] + b"\x81\x00\x00\x03" + frame[12:]) == flow_key(frame)


@pytest.mark.parametrize("port", [53, 67, 179, 520, 4789, 6633])
def test_payloads_are_not_looked_into(port: int) -> None:
    header = struct.pack("!HHHH", 40000, port, 12, 0) + b"\xff\xff\xff\xff"
    assert flow_key(ipv4(UDP, header)) == key4(UDP, 40000, port)


def test_a_tunnel_is_one_flow_whatever_it_carries() -> None:
    inner = ipv4(UDP, _UDP_HEADER)[14:]
    assert flow_key(ipv4(4, inner)) == key4(4)
    assert flow_key(ipv4(47, b"\0\0\x08\0" + inner)) == key4(47)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ipv4(UDP, _UDP_HEADER, fragment=_MORE_FRAGMENTS), key4(UDP, 40000, 5004)),
        (ipv4(UDP, b"payload, no header", fragment=100), key4(UDP)),
        (ipv6(44, fragment6(0, 1) + _UDP_HEADER), key6(UDP, 40000, 5004)),
        (ipv6(44, fragment6(100, 0) + b"payload, no header"), key6(UDP)),
    ],
)
def test_only_the_first_fragment_has_ports(frame: bytes, expected: FlowKey) -> None:
    assert flow_key(frame) == expected


@pytest.mark.parametrize(("proto", "header"), [(TCP, _TCP_HEADER), (UDP, _UDP_HEADER[:8])])
def test_a_header_that_is_cut_short_has_no_ports(proto: int, header: bytes) -> None:
    assert flow_key(ipv4(proto, header[:-1])) == key4(proto)


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_icmp_errors_start_no_flow(kind: int) -> None:
    inner = ipv4(UDP, _UDP_HEADER)[14:]
    assert flow_key(ipv4(1, bytes([kind, 3]) + bytes(6) + inner)) is None


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_icmpv6_errors_start_no_flow(kind: int) -> None:
    assert flow_key(ipv6(58, bytes([kind, 0]) + bytes(6))) is None


def test_what_is_not_ip_has_no_key() -> None:
    assert flow_key(_MAC + b"\x08\x06" + bytes(28)) is None
    assert flow_key(b"") is None


@given(st.binary(max_size=120), st.sampled_from((b"", _MAC + b"\x08\x00", _MAC + b"\x86\xdd", _MAC + b"\x81\x00")))
def test_any_bytes_give_a_key_or_none(data: bytes, begin: bytes) -> None:
    key = flow_key(begin + data)
    assert key is None or key.src == ip_address(key.src)


@given(st.sampled_from((ipv4(TCP, _TCP_HEADER), ipv6(0, _HOP_BY_HOP + _UDP_HEADER))), st.data())
def test_every_truncation_gives_a_key_or_none(frame: bytes, data: st.DataObject) -> None:
    key = flow_key(frame[: data.draw(st.integers(0, len(frame) - 1))])
    assert key is None or key.dst in (D_SID, D_SID6)
