"""A packet that a switch brought to its controller."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class PacketKind(Enum):
    """What a packet is to whoever sends it on: a switch rewrites only the first kind as it should."""

    WHOLE = auto()
    FRAGMENT = auto()
    ICMP_ERROR = auto()


class PacketIn(NamedTuple):
    """The port that a packet came in by, its octets, and what it is."""

    in_port: int
    data: bytes
    kind: PacketKind = PacketKind.WHOLE


NO_PACKET = PacketIn(0, b"")
