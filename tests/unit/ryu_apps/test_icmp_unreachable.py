"""ICMP messages as octets: which of them say that nobody listens, and what of."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_apps.dyncast.measurement.icmp_unreachable import Returned, parse

TO = IPv4Address("10.2.0.1")


def _ip(protocol: int, payload: bytes, to: IPv4Address = TO, options: bytes = b"") -> bytes:
    octets = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | octets // 4, 0, octets + len(payload), 1, 0, 64, protocol, 0)
    return head + IPv4Address("10.1.0.1").packed + to.packed + options + payload


def _packet(
    kind: int = 3, code: int = 3, protocol: int = 17, port: int = 7000, options: bytes = b"", data: bytes = b"probe"
) -> bytes:
    udp = struct.pack("!HHHH", 7000, port, 8 + len(data), 0) + data
    icmp = struct.pack("!BBHI", kind, code, 0, 0)
    return _ip(1, icmp + _ip(protocol, udp, options=options), IPv4Address("10.1.0.1"))


def test_a_quotation_is_read_with_and_without_options() -> None:
    assert parse(_packet(), 7000) == Returned(b"probe", TO)
    assert parse(_packet(options=bytes(8)), 7000) == Returned(b"probe", TO)


@pytest.mark.parametrize(
    "packet",
    [_packet(kind=11), _packet(code=1), _packet(protocol=6), _packet(port=7001), _packet()[:40], b"", b"\x60" * 80],
    ids=["time exceeded", "host unreachable", "TCP", "another port", "cut short", "nothing", "IPv6"],
)
def test_anything_else_is_none(packet: bytes) -> None:
    assert parse(packet, 7000) is None


@given(st.binary(max_size=100), st.integers(0, 60))
def test_no_octets_at_all_do_harm(noise: bytes, keep: int) -> None:
    for packet in (noise, _packet()[:keep] + noise):
        found = parse(packet, 7000)
        assert found is None or isinstance(found.data, bytes)
