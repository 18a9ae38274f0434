"""Fragments of datagrams: each with the flow key of the first of its datagram, which alone has ports.

Owns the datagrams of which fragments are still to come, and the fragments that came before the first one; both are
bounded, and what has to be dropped is counted. A datagram passes as a whole or not at all. Pure: time comes in.
Knows nothing of services.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from ryu_apps.openflow.packet_in import PacketIn
from ryu_apps.openflow.packets import ip_packet
from ryu_apps.openflow.packets.ip_packet import IpPacket
from ryu_apps.openflow.packets.packet_headers import PORTS_BYTES, key_of
from testbed.net.flow_key import FlowKey
from testbed.net.token_bucket import Rate, TokenBucket

LIFETIME_S = 30.0  # of a datagram in parts, as hosts have it
RATE = Rate(per_s=4000, burst=4000)  # fragments; new datagrams wait for nobody and are refused beyond
_MOST_DATAGRAMS = 4096
_MOST_HELD = 8192  # fragments of all datagrams; the smallest ones make so many of one

_Name = tuple[bytes, bytes, int, int]


@dataclass
class _Datagram:
    """A datagram as far as it has come: the key that its first fragment has, and what waits for that."""

    begun_s: float
    is_refused: bool
    key: FlowKey | None = None
    held: list[PacketIn] = field(default_factory=list)
    octets: int = 0
    size: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.size is not None and self.octets >= self.size


class Fragments:
    """The fragments that one switch brings to its controller. `counters` say what was dropped."""

    def __init__(self, counters: Counter[str], rate: Rate = RATE) -> None:
        self._counters = counters
        self._rate = TokenBucket(rate)
        self._datagrams: dict[_Name, _Datagram] = {}  # the oldest first
        self._held = 0

    def take(self, packet: PacketIn, now_s: float) -> list[tuple[FlowKey, PacketIn]]:
        """Take in a fragment; return those whose flow is known now, the first of a datagram before all others."""
        part = ip_packet.in_frame(packet.data)
        if part is None or not part.is_fragment or part.end <= part.payload_at:
            return self._drop("malformed")
        self.on_timer(now_s)
        name = (part.src, part.dst, part.proto if part.version == 4 else 0, part.identification)
        datagram = self._datagrams.get(name)
        in_budget = self._rate.take(now_s)
        if datagram is None or (part.offset == 0 and datagram.key is not None):
            # The first fragment a second time: of another datagram, whose sender has used up its identifications.
            datagram = self._begin(name, now_s, is_refused=not in_budget)
        ready = self._advance(datagram, part, packet)
        if datagram.is_whole and not datagram.held:
            del self._datagrams[name]
        return ready

    def next_timer_s(self) -> float:
        """Return when the oldest datagram has had its time."""
        oldest = next(iter(self._datagrams.values()), None)
        return math.inf if oldest is None else oldest.begun_s + LIFETIME_S

    def on_timer(self, now_s: float) -> None:
        """Forget datagrams that have had their time."""
        while self.next_timer_s() <= now_s:
            self._forget_oldest()

    def _advance(self, datagram: _Datagram, part: IpPacket, packet: PacketIn) -> list[tuple[FlowKey, PacketIn]]:
        datagram.octets += part.end - part.payload_at
        if not part.has_more:
            datagram.size = part.offset + part.end - part.payload_at
        if datagram.is_refused:
            return self._drop("over_rate")
        if part.offset == 0:
            datagram.key = key_of(packet.data, part, PORTS_BYTES)
            held, datagram.held = datagram.held, []
            self._held -= len(held)
            return [(datagram.key, item) for item in (packet, *held)]
        if datagram.key is not None:
            return [(datagram.key, packet)]
        if self._held >= _MOST_HELD:
            return self._drop("too_many_held")
        datagram.held.append(packet)
        self._held += 1
        return []

    def _begin(self, name: _Name, now_s: float, *, is_refused: bool) -> _Datagram:
        self._datagrams.pop(name, None)
        if len(self._datagrams) >= _MOST_DATAGRAMS:
            self._forget_oldest()
        datagram = self._datagrams[name] = _Datagram(now_s, is_refused)
        return datagram

    def _forget_oldest(self) -> None:
        datagram = self._datagrams.pop(next(iter(self._datagrams)))
        self._held -= len(datagram.held)
        if datagram.held:
            self._counters["fragments_without_first"] += len(datagram.held)

    def _drop(self, reason: str) -> list[tuple[FlowKey, PacketIn]]:
        self._counters[f"fragments_{reason}"] += 1
        return []
