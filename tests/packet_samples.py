"""Packets by Scapy for tests, as they are on the wire: whole ones, and datagrams cut into fragments at will."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw


def built(packet: Any) -> Any:
    """The packet as it is on the wire, read again: lengths and checksums stand."""
    return type(packet)(bytes(packet))


def pieces(version: int, whole: Any, sizes: list[int], identification: int) -> list[Any]:
    """A datagram cut into fragments of these sizes in units of eight octets, and the rest."""
    payload = bytes(whole)[20 if version == 4 else 40 :]
    cuts, at = [], 0
    for size in sizes:
        if at + 8 * size >= len(payload):
            break
        cuts.append((at, payload[at : at + 8 * size], 1))
        at += 8 * size
    cuts.append((at, payload[at:], 0))
    if version == 4:
        return [
            IP(src=whole.src, dst=whole.dst, id=identification, proto=whole.proto, frag=at // 8, flags=more) / Raw(part)
            for at, part, more in cuts
        ]
    return [
        IPv6(src=whole.src, dst=whole.dst)
        / IPv6ExtHdrFragment(nh=whole.nh, offset=at // 8, m=more, id=identification)
        / Raw(part)
        for at, part, more in cuts
    ]
