"""Conversations between clients and instances, from IP packets as a client's host sees them.

Pure: packets come in with their time, rows of the table `direct` go out. An ICMP error is part of the conversation that
it is about.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

_TCP, _UDP, _ICMP, _ICMP_V6, _FRAGMENT = 6, 17, 1, 58, 44
_NAMES = {_TCP: "tcp", _UDP: "udp"}
_ERRORS = {_ICMP: (3, 4, 5, 11, 12), _ICMP_V6: (1, 2, 3, 4)}
_ERROR_HEADER_BYTES, _FRAGMENT_HEADER_BYTES, _IPV6_HEADER_BYTES = 8, 8, 40


class Packet(NamedTuple):
    """What an IP packet says of its conversation. Ports are 0 in later fragments."""

    proto: str
    src: str
    src_port: int
    dst: str
    dst_port: int


class _Conversation(NamedTuple):
    client: str
    proto: str
    src: str
    src_port: int
    d_bid: str
    dst_port: int


class Conversations:
    """Packets from and to instances, by conversation. Ignores those of other hosts."""

    def __init__(self, d_bids: Collection[str]) -> None:
        self._d_bids = frozenset(d_bids)
        self._found: dict[_Conversation, list[float]] = {}  # asked, answered, first_s, last_s

    def note(self, client: str, data: bytes, is_outgoing: bool, at_s: float) -> None:
        """Take in a packet that a client sent or received."""
        packet = read(data)
        if packet is None or (packet.dst if is_outgoing else packet.src) not in self._d_bids:
            return
        if is_outgoing:
            key = _Conversation(client, *packet)
        else:
            key = _Conversation(client, packet.proto, packet.dst, packet.dst_port, packet.src, packet.src_port)
        tally = self._found.setdefault(key, [0, 0, at_s, at_s])
        if not is_outgoing:
            tally[1] += 1
        elif not tally[1] or tally[0]:  # else it answers what it did not ask for: a reset, an ICMP error
            tally[0] += 1
        tally[3] = at_s

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield a row per conversation."""
        for key, (asked, answered, first_s, last_s) in self._found.items():
            counts = {"asked": int(asked), "answered": int(answered), "first_s": first_s, "last_s": last_s}
            yield {**key._asdict(), **counts}


def read(data: bytes) -> Packet | None:
    """Return what a packet says; None if it is neither TCP nor UDP nor an error about such a packet, or cut short.

    An error is from its sender to its receiver, with the ports of the packet that it quotes.
    """
    try:
        proto, src, dst, offset, header_bytes = _ip_header(data)
        if proto in _NAMES:
            ports = (0, 0) if offset else struct.unpack_from("!HH", data, header_bytes)
            return Packet(_NAMES[proto], src, ports[0], dst, ports[1])
        if offset or data[header_bytes] not in _ERRORS.get(proto, ()):
            return None
    except (struct.error, IndexError, ValueError):
        return None
    quoted = read(data[header_bytes + _ERROR_HEADER_BYTES :])
    return quoted and Packet(quoted.proto, src, quoted.dst_port, dst, quoted.src_port)


def _ip_header(data: bytes) -> tuple[int, str, str, int, int]:
    """Return protocol, source, destination, fragment offset and length of the header."""
    if data[0] >> 4 == 4:
        (fragment,) = struct.unpack_from("!H", data, 6)
        addresses = str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20]))
        return data[9], *addresses, fragment & 0x1FFF, (data[0] & 0xF) * 4
    addresses = str(IPv6Address(data[8:24])), str(IPv6Address(data[24:40]))
    if data[6] != _FRAGMENT:
        return data[6], *addresses, 0, _IPV6_HEADER_BYTES
    (fragment,) = struct.unpack_from("!H", data, _IPV6_HEADER_BYTES + 2)
    return data[_IPV6_HEADER_BYTES], *addresses, fragment >> 3, _IPV6_HEADER_BYTES + _FRAGMENT_HEADER_BYTES
