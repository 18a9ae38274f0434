"""Messages that come back: a node's kernel says that nobody listens at the in-band port, and quotes what it got.

Owns the form of that ICMP message (RFC 792, RFC 1122: "port unreachable" with the head of the packet) and the raw
socket on which it arrives. What it means is `testbed.dyncast.monitoring.probing`'s business, which also looks whether
it is true.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address
from typing import NamedTuple

_UNREACHABLE, _PORT = 3, 3
_UDP = 17
_ICMP_OCTETS, _UDP_OCTETS = 8, 8
_SOL_RAW, _ICMP_FILTER = 255, 1
_LARGEST_QUOTATION = 1500


class Returned(NamedTuple):
    """What was sent (as much of it as was quoted), and where to."""

    data: bytes
    to: IPv4Address


def receive_only_unreachable(icmp: socket.socket) -> None:
    """Have a raw ICMP socket pass over all but "unreachable"; pings of the whole site would wake it, too."""
    icmp.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << _UNREACHABLE) & 0xFFFFFFFF))


def receive(icmp: socket.socket) -> bytes:
    """Wait for an ICMP message; return the packet that holds it."""
    return icmp.recv(_LARGEST_QUOTATION)


def parse(packet: bytes, port: int) -> Returned | None:
    """Read an IPv4 packet that holds ICMP; None if it does not say that nobody listens at `port`."""
    inner = _header_octets(packet) + _ICMP_OCTETS
    if len(packet) < inner or tuple(packet[inner - _ICMP_OCTETS : inner - _ICMP_OCTETS + 2]) != (_UNREACHABLE, _PORT):
        return None
    quoted = packet[inner:]
    udp = _header_octets(quoted)
    if udp < 20 or len(quoted) < udp + _UDP_OCTETS or quoted[9] != _UDP:
        return None
    if struct.unpack_from("!H", quoted, udp + 2) != (port,):
        return None
    return Returned(quoted[udp + _UDP_OCTETS :], IPv4Address(quoted[16:20]))


def _header_octets(packet: bytes) -> int:
    return (packet[0] & 0xF) * 4 if packet and packet[0] >> 4 == 4 else 0
