"""Where the parts of an IP packet are in a frame: addresses, protocol, fragment, payload.

Reads headers and no more; what they mean for a flow is in `packet_headers`, `fragments` and `icmp_errors`.
"""

from __future__ import annotations

from struct import Struct
from struct import error as OutOfBytes
from typing import NamedTuple

_ETHER_TYPE = Struct("!12xH")
_VLAN = Struct("!2xH")
_IPV4 = Struct("!BxHHHxB2x4s4s")  # version and length, total length, identification, fragment, protocol, addresses
_IPV6 = Struct("!B3xHBx16s16s")  # version, payload length, next header, addresses
_EXTENSION = Struct("!BB")  # next header, length
_FRAGMENT = Struct("!BxHI")  # next header, offset and flags, identification

_VLAN_TYPE, _IPV4_TYPE, _IPV6_TYPE = 0x8100, 0x0800, 0x86DD
_OFFSET4, _MORE4, _MORE6 = 0x1FFF, 0x2000, 0x0001
_HOP_BY_HOP, _ROUTING, _FRAGMENTATION, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_EXTENSIONS = frozenset({_HOP_BY_HOP, _ROUTING, _FRAGMENTATION, _AUTHENTICATION, _DESTINATION})


class IpPacket(NamedTuple):
    """An IP packet: where it begins, what its headers say, and where its payload is.

    `offset`: of a fragment, in octets; `identification` tells the fragments of one datagram from those of others.
    """

    start: int
    version: int
    src: bytes
    dst: bytes
    proto: int
    payload_at: int
    end: int
    offset: int = 0
    has_more: bool = False
    identification: int = 0

    @property
    def is_fragment(self) -> bool:
        """Tell whether this is a part of a datagram."""
        return self.has_more or self.offset > 0


def in_frame(data: bytes) -> IpPacket | None:
    """Return the packet in an Ethernet frame; None for anything else than IP, and for what is malformed."""
    try:
        (ether_type,) = _ETHER_TYPE.unpack_from(data)
        start = _ETHER_TYPE.size
        while ether_type == _VLAN_TYPE:
            (ether_type,) = _VLAN.unpack_from(data, start)
            start += _VLAN.size
        if ether_type == _IPV4_TYPE:
            return _ipv4(data, start, len(data))
        return _ipv6(data, start, len(data)) if ether_type == _IPV6_TYPE else None
    except (OutOfBytes, IndexError):
        return None


def at(data: bytes, start: int, end: int, version: int) -> IpPacket | None:
    """Return the packet of a family that begins at `start`, of which there is as much as goes to `end`."""
    try:
        return _ipv4(data, start, end) if version == 4 else _ipv6(data, start, end)
    except (OutOfBytes, IndexError):
        return None


def _ipv4(data: bytes, start: int, limit: int) -> IpPacket | None:
    begin, length, identification, fragment, proto, src, dst = _IPV4.unpack_from(data, start)
    header_bytes = (begin & 0x0F) * 4
    if begin >> 4 != 4 or header_bytes < _IPV4.size:
        return None
    # What follows the packet only fills up the frame.
    end = min(limit, start + length)
    offset, has_more = (fragment & _OFFSET4) * 8, bool(fragment & _MORE4)
    return IpPacket(start, 4, src, dst, proto, start + header_bytes, end, offset, has_more, identification)


def _ipv6(data: bytes, start: int, limit: int) -> IpPacket | None:
    begin, length, proto, src, dst = _IPV6.unpack_from(data, start)
    payload_at = start + _IPV6.size
    if begin >> 4 != 6:
        return None
    end = min(limit, payload_at + length)
    offset, has_more, identification = 0, False, 0
    while proto in _EXTENSIONS and not offset:
        if proto == _FRAGMENTATION:
            proto, flags, identification = _FRAGMENT.unpack_from(data, payload_at)
            offset, has_more = flags & ~7, bool(flags & _MORE6)
            payload_at += _FRAGMENT.size
        else:
            unit_bytes, more = (4, 2) if proto == _AUTHENTICATION else (8, 1)
            proto, units = _EXTENSION.unpack_from(data, payload_at)
            payload_at += (units + more) * unit_bytes
    return IpPacket(start, 6, src, dst, proto, payload_at, end, offset, has_more, identification)
