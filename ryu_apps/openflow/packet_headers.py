"""The flow key of a packet that a switch sent up, read off the bytes.

Reads the headers that identify a flow and no more: every first packet of a flow passes here. Knows nothing of services.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from struct import error as OutOfBytes

from testbed.net.flow_key import TCP, UDP, FlowKey

_ETHER_TYPE = Struct("!12xH")
_VLAN = Struct("!2xH")
_IPV4 = Struct("!BxH2xHxB2x4s4s")  # version and length, total length, fragment, protocol, addresses
_IPV6 = Struct("!4xHBx16s16s")  # payload length, next header, addresses
_EXTENSION = Struct("!BB")  # next header, length
_FRAGMENT = Struct("!BxH4x")
_PORTS = Struct("!HH")

_VLAN_TYPE, _IPV4_TYPE, _IPV6_TYPE = 0x8100, 0x0800, 0x86DD
_OFFSET4, _OFFSET6 = 0x1FFF, 0xFFF8  # of a fragment: what is not flags
_HOP_BY_HOP, _ROUTING, _FRAGMENTATION, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_EXTENSIONS = frozenset({_HOP_BY_HOP, _ROUTING, _FRAGMENTATION, _AUTHENTICATION, _DESTINATION})
_SHORTEST_HEADER = {TCP: 20, UDP: 8}
_ICMP, _ICMPV6 = 1, 58
_ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
_FIRST_ICMPV6_INFORMATION = 128


def flow_key(data: bytes) -> FlowKey | None:
    """Return the key of an IPv4 or IPv6 packet in an Ethernet frame; None for what belongs to no flow.

    That is: anything malformed, anything else than IP, and ICMP errors, which speak of a flow but are none.
    A later fragment has no ports, nor has a TCP or UDP header that is cut short.
    """
    try:
        (ether_type,) = _ETHER_TYPE.unpack_from(data)
        start = _ETHER_TYPE.size
        while ether_type == _VLAN_TYPE:
            (ether_type,) = _VLAN.unpack_from(data, start)
            start += _VLAN.size
        if ether_type == _IPV4_TYPE:
            return _ipv4_key(data, start)
        return _ipv6_key(data, start) if ether_type == _IPV6_TYPE else None
    except (OutOfBytes, IndexError):
        return None


def _ipv4_key(data: bytes, start: int) -> FlowKey | None:
    begin, length, fragment, proto, src, dst = _IPV4.unpack_from(data, start)
    header_bytes = (begin & 0x0F) * 4
    if begin >> 4 != 4 or header_bytes < _IPV4.size:
        return None
    if fragment & _OFFSET4:
        return FlowKey(IPv4Address(src), IPv4Address(dst), proto, None, None)
    # What follows the packet only fills up the frame.
    payload_at, end = start + header_bytes, min(len(data), start + length)
    if proto == _ICMP and (payload_at >= end or data[payload_at] in _ICMP_ERRORS):
        return None
    return FlowKey(IPv4Address(src), IPv4Address(dst), proto, *_ports(data, payload_at, end, proto))


def _ipv6_key(data: bytes, start: int) -> FlowKey | None:
    length, proto, src, dst = _IPV6.unpack_from(data, start)
    payload_at = start + _IPV6.size
    end = min(len(data), payload_at + length)
    while proto in _EXTENSIONS:
        if proto == _FRAGMENTATION:
            proto, offset = _FRAGMENT.unpack_from(data, payload_at)
            payload_at += _FRAGMENT.size
            if offset & _OFFSET6:
                return FlowKey(IPv6Address(src), IPv6Address(dst), proto, None, None)
        else:
            unit_bytes, more = (4, 2) if proto == _AUTHENTICATION else (8, 1)
            proto, units = _EXTENSION.unpack_from(data, payload_at)
            payload_at += (units + more) * unit_bytes
    if proto == _ICMPV6 and (payload_at >= end or data[payload_at] < _FIRST_ICMPV6_INFORMATION):
        return None
    return FlowKey(IPv6Address(src), IPv6Address(dst), proto, *_ports(data, payload_at, end, proto))


def _ports(data: bytes, payload_at: int, end: int, proto: int) -> tuple[int | None, int | None]:
    shortest = _SHORTEST_HEADER.get(proto)
    if shortest is None or end - payload_at < shortest:
        return None, None
    src_port, dst_port = _PORTS.unpack_from(data, payload_at)
    return src_port, dst_port
