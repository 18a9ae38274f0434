"""A packet that a switch brought to its controller."""

from __future__ import annotations

from typing import NamedTuple


class PacketIn(NamedTuple):
    """The port that a packet came in by, and its octets."""

    in_port: int
    data: bytes


NO_PACKET = PacketIn(0, b"")
