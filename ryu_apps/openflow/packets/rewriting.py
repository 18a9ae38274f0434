"""Other addresses for a packet that a switch cannot rewrite itself: a fragment, or an ICMP error and what it quotes.

Open vSwitch corrects a checksum wherever that of the protocol would be; in a later fragment there is payload. Checksums
are corrected, not computed (RFC 1624): one that is wrong stays wrong, for the receiver to see. Knows nothing of flows.
"""

from __future__ import annotations

from ipaddress import ip_address

from ryu_apps.openflow.packets import ip_packet
from ryu_apps.openflow.packets.ip_packet import IpPacket
from ryu_apps.openflow.packets.packet_headers import ICMPV6
from testbed.net.addresses import Address
from testbed.net.flow_key import TCP, UDP

_IPV4_CHECKSUM_AT = 10
_ADDRESSES_AT = {4: (12, 16), 6: (8, 24)}  # of the source, of the destination
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMPV6: 2}  # those that cover the addresses
_ICMP_CHECKSUM_AT = 2
ICMP_HEADER_BYTES = 8


def readdressed(data: bytes, *, src: Address | None = None, dst: Address | None = None) -> bytes:
    """Return a frame whose packet has another source or destination."""
    packet = ip_packet.in_frame(data)
    if packet is None:
        return data
    changed = bytearray(data)
    _readdress(changed, packet, src, dst)
    return bytes(changed)


def error_readdressed(
    data: bytes,
    *,
    src: Address | None = None,
    dst: Address | None = None,
    quoted_src: Address | None = None,
    quoted_dst: Address | None = None,
) -> bytes:
    """Return a frame with an ICMP error that has other addresses, as has the packet that it quotes.

    The error is one that `icmp_errors.quoted_flow` believes.
    """
    packet = ip_packet.in_frame(data)
    if packet is None:
        return data
    changed = bytearray(data)
    quoted = ip_packet.at(data, packet.payload_at + ICMP_HEADER_BYTES, packet.end, packet.version)
    if quoted is not None:
        _readdress(changed, quoted, quoted_src, quoted_dst)
    _readdress(changed, packet, src, dst)
    _correct(changed, packet.payload_at + _ICMP_CHECKSUM_AT, data[_body(packet)], bytes(changed[_body(packet)]))
    return bytes(changed)


def source_of(data: bytes) -> Address | None:
    """Return the source of the packet in a frame; None if there is none."""
    packet = ip_packet.in_frame(data)
    return None if packet is None else ip_address(packet.src)


def has_right_icmp_checksum(data: bytes, packet: IpPacket) -> bool:
    """Tell whether the checksum of an ICMP packet that is whole is right."""
    body = data[packet.payload_at : packet.end]
    total = _words(body)
    if packet.version == 6:
        total += _words(packet.src) + _words(packet.dst) + len(body) + ICMPV6
    return bool(body) and _folded(total) == 0xFFFF


def _body(packet: IpPacket) -> slice:
    """Return where what an ICMP checksum covers is, but for the checksum itself."""
    return slice(packet.payload_at + _ICMP_CHECKSUM_AT + 2, packet.end)


def _readdress(data: bytearray, packet: IpPacket, src: Address | None, dst: Address | None) -> None:
    checksum_at = _CHECKSUM_AT.get(packet.proto, -1) - packet.offset  # in this fragment, if at all
    for at, former, address in zip(_ADDRESSES_AT[packet.version], (packet.src, packet.dst), (src, dst), strict=True):
        if address is None:
            continue
        data[packet.start + at : packet.start + at + len(former)] = address.packed
        if packet.version == 4:
            _correct(data, packet.start + _IPV4_CHECKSUM_AT, former, address.packed)
        if checksum_at >= 0 and packet.payload_at + checksum_at + 2 <= packet.end:
            _correct(data, packet.payload_at + checksum_at, former, address.packed, is_udp=packet.proto == UDP)


def _correct(data: bytearray, at: int, former: bytes, present: bytes, *, is_udp: bool = False) -> None:
    """Correct a checksum after what it covers has changed; UDP without a checksum (zero) goes on without."""
    checksum = int.from_bytes(data[at : at + 2], "big")
    if is_udp and checksum == 0:
        return
    covered = _folded((checksum ^ 0xFFFF) + (_folded(_words(former)) ^ 0xFFFF) + _words(present))
    corrected = covered ^ 0xFFFF
    data[at : at + 2] = (0xFFFF if is_udp and corrected == 0 else corrected).to_bytes(2, "big")


def _words(data: bytes) -> int:
    """Return a number whose digits to the base of 65,536 are the words of `data`."""
    return int.from_bytes(data + bytes(len(data) % 2), "big")


def _folded(number: int) -> int:
    """Return the ones' complement sum of a number's words; zero only of zero."""
    return number and (number % 0xFFFF or 0xFFFF)
