"""Ethernet frames with IPv4 and UDP or TCP inside, made by hand: cheap enough to be made by the ten thousand."""

from __future__ import annotations

import struct

from testbed.net.flow_key import UDP
from topologies.addressing import AddressPlan

ETHERTYPE = 0x0800
HEADER_BYTES = 14 + 20 + 8  # Ethernet, IPv4 and UDP
_CHECKSUM_AT = {6: 16, UDP: 6}
_SYN = 2


def to_gateway(plan: AddressPlan, host: str, d_router: str) -> bytes:
    """Return the two MAC addresses that a frame from a host to the rest of the network begins with."""
    return bytes.fromhex((plan.site(d_router).mac + plan.mac(host, d_router)).replace(":", ""))


class Frames:
    """Frames between two addresses that differ in the source port alone: UDP with a payload of zeros, or TCP SYNs."""

    def __init__(self, link: bytes, src: bytes, dst: bytes, proto: int, dst_port: int, payload_bytes: int = 0) -> None:
        if proto == UDP:
            segment = struct.pack("!HHHH", 0, dst_port, 8 + payload_bytes, 0) + bytes(payload_bytes)
        else:
            segment = struct.pack("!HHIIBBHHH", 0, dst_port, 1, 0, 5 << 4, _SYN, 65535, 0, 0)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, proto, 0) + src + dst
        ip = ip[:10] + struct.pack("!H", _sum(ip) ^ 0xFFFF) + ip[12:]
        self._head = link + struct.pack("!H", ETHERTYPE) + ip
        self._segment = bytearray(segment)
        self._sum = _sum(src + dst + struct.pack("!HH", proto, len(segment)) + segment)
        self._checksum_at = _CHECKSUM_AT[proto]

    def of_port(self, src_port: int) -> bytes:
        """Return the frame that comes from a port."""
        struct.pack_into("!H", self._segment, 0, src_port)
        struct.pack_into("!H", self._segment, self._checksum_at, _folded(self._sum + src_port) ^ 0xFFFF)
        return self._head + self._segment


def _sum(data: bytes) -> int:
    return _folded(sum(struct.unpack(f"!{len(data) // 2}H", data)))


def _folded(total: int) -> int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
