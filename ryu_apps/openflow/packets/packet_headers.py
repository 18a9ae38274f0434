"""The flow key of a packet that a switch sent up, read off the bytes.

Reads the headers that identify a flow and no more: every first packet of a flow passes here. Knows nothing of services.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from ryu_apps.openflow.packets import ip_packet
from ryu_apps.openflow.packets.ip_packet import IpPacket
from testbed.net.flow_key import TCP, UDP, FlowKey

ICMP, ICMPV6 = 1, 58

PORTS_BYTES = {TCP: 8, UDP: 8}  # as much of a header as a fragment or a quotation has at least (RFC 791, RFC 792)

_PORTS = Struct("!HH")
_SHORTEST_HEADER = {TCP: 20, UDP: 8}
_ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
_FIRST_ICMPV6_INFORMATION = 128


def flow_key(data: bytes) -> FlowKey | None:
    """Return the key of an IPv4 or IPv6 packet in an Ethernet frame; None for what belongs to no flow.

    That is: anything malformed, anything else than IP, and ICMP errors, which speak of a flow but are none.
    A later fragment has no ports, nor has a TCP or UDP header that is cut short.
    """
    packet = ip_packet.in_frame(data)
    return None if packet is None or _speaks_of_another(data, packet) else key_of(data, packet)


def key_of(data: bytes, packet: IpPacket, shortest_headers: dict[int, int] = _SHORTEST_HEADER) -> FlowKey:
    """Return the key of a packet; its ports, if as much of its header is there as `shortest_headers` says."""
    address = IPv4Address if packet.version == 4 else IPv6Address
    shortest = shortest_headers.get(packet.proto)
    if packet.offset or shortest is None or packet.end - packet.payload_at < shortest:
        return FlowKey(address(packet.src), address(packet.dst), packet.proto, None, None)
    return FlowKey(address(packet.src), address(packet.dst), packet.proto, *_PORTS.unpack_from(data, packet.payload_at))


def _speaks_of_another(data: bytes, packet: IpPacket) -> bool:
    """Tell whether this is an ICMP error, or ICMP that does not say what it is."""
    if packet.offset or packet.proto != (ICMP if packet.version == 4 else ICMPV6):
        return False
    if packet.payload_at >= packet.end:
        return True
    kind = data[packet.payload_at]
    return kind in _ICMP_ERRORS if packet.version == 4 else kind < _FIRST_ICMPV6_INFORMATION
