"""Which packets of an RTP stream arrived, by sequence number: loss, reordering, duplicates.

Owns RFC 3550 appendix A.1, with the stream's own pace in place of its two limits where they do not decide: a number far
ahead is a loss, however long, if the sender's clock or this one says that so many packets were due since, and a number
far behind is an overtaken packet if the sender's clock says so. Pure; in memory that grows with the number of gaps.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from enum import Enum
from math import inf
from typing import NamedTuple

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32
MAX_DROPOUT = 3000  # RFC 3550 A.1: no further ahead, a packet needs no proof
MAX_MISORDER = 100  # no further behind

_PAUSE_S = 0.5  # a sender that says nothing for so long pauses: that is not its pace
_ODDS = 2.0  # a gap fits the time passed if the pace, over that time, makes half to twice as many packets


class Place(Enum):
    """Where a packet stands among those before it."""

    NEXT = "next"
    REORDERED = "reordered"
    DUPLICATE = "duplicate"
    HELD_BACK = "held back"
    """Too far away to be believed, unless the next one follows it."""
    RESTARTED = "restarted"
    """The second of a stream that began again elsewhere."""


class _Packet(NamedTuple):
    sequence: int
    timestamp: int
    arrival_s: float

    def ticks_since(self, other: _Packet) -> int:
        return (self.timestamp - other.timestamp) % TIMESTAMP_MODULUS


class ReceivedSequence:
    """The packets of one stream. It begins with the first one: there is no probation."""

    def __init__(self) -> None:
        self._base = 0
        self._highest = -1
        self._floor = 0  # numbers below were accounted for in an earlier part
        self._latest = _Packet(0, 0, 0.0)  # the one that is `_highest`
        self._missing = _Missing()
        self._pace = _Pace()
        self._held: _Packet | None = None
        self._expected_before_restart = 0
        self.received = 0
        self.duplicates = 0
        self.reordered = 0
        self.restarts = 0
        self.rejected = 0  # packets out of any plausible order that no second one confirmed

    @property
    def expected(self) -> int:
        """How many packets the sender must have sent, by their sequence numbers."""
        return self._expected_before_restart + self._highest - self._base + 1

    @property
    def extended_highest(self) -> int:
        """The highest number, cycles included (RFC 3550 section 6.4.1)."""
        return max(0, self._highest - SEQUENCE_MODULUS)

    def begin_part(self) -> None:
        """Count from zero, from the next packet on: what is missing between two parts is missing in the second."""
        self._base = self._floor = self._highest + 1
        self._missing = _Missing()
        self._expected_before_restart = 0
        self.received = self.duplicates = self.reordered = self.restarts = self.rejected = 0

    def take(self, sequence: int, timestamp: int, arrival_s: float) -> Place:
        """Account for one packet. One that was held back counts with the next one that confirms it."""
        packet = _Packet(sequence, timestamp, arrival_s)
        if self._highest < 0:
            self._begin(packet)
            place = Place.NEXT
        else:
            place = self._place(packet)
        if place is not Place.HELD_BACK:
            self.received += 1
            self._held = None
        return place

    def _place(self, packet: _Packet) -> Place:
        ahead = (packet.sequence - self._latest.sequence) % SEQUENCE_MODULUS
        behind = -ahead % SEQUENCE_MODULUS
        if ahead == 1:
            return self._advance(1, packet)
        passed_s = packet.arrival_s - self._latest.arrival_s
        if passed_s > _PAUSE_S:
            gap = self._fitting_gap(ahead, packet)
            if gap and self._pace.fits(gap, None, passed_s):
                return self._advance(gap, packet)
        if behind < MAX_MISORDER or self._was_due_before(behind, packet):
            return self._take_late(self._highest - behind)
        if ahead < MAX_DROPOUT:
            return self._advance(ahead, packet)
        if self._held is not None and packet.sequence == (self._held.sequence + 1) % SEQUENCE_MODULUS:
            return self._confirm(self._held, packet)
        self.rejected += 1
        self._held = packet
        return Place.HELD_BACK

    def _begin(self, packet: _Packet) -> None:
        # One cycle up, so that packets overtaken by the very first one still have a number above zero.
        self._base = self._highest = SEQUENCE_MODULUS + packet.sequence
        self._floor = 0
        self._latest = packet
        self._missing = _Missing()

    def _advance(self, gap: int, packet: _Packet) -> Place:
        self._pace.note(gap, packet.ticks_since(self._latest), packet.arrival_s - self._latest.arrival_s)
        if gap > 1:
            self._missing.add(self._highest + 1, self._highest + gap)
            self._missing.forget_below(self._highest + gap - SEQUENCE_MODULUS // 2)
        self._highest += gap
        self._latest = packet
        return Place.NEXT

    def _take_late(self, number: int) -> Place:
        if self._floor <= number < self._base:  # overtaken by the first that arrived
            self._missing.add(number + 1, self._base)
            self._base = number
        elif number < self._floor or not self._missing.remove(number):
            self.duplicates += 1
            return Place.DUPLICATE
        self.reordered += 1
        return Place.REORDERED

    def _was_due_before(self, behind: int, packet: _Packet) -> bool:
        """Tell whether a packet is as much older than the latest, by the sender's clock, as its number says."""
        ticks = self._latest.ticks_since(packet)
        return behind < SEQUENCE_MODULUS // 2 and self._pace.fits(behind, ticks, None)

    def _fitting_gap(self, ahead: int, packet: _Packet) -> int | None:
        """Return how far ahead a packet is, if that fits the time passed; whole cycles need the word of both clocks."""
        ticks, passed_s = packet.ticks_since(self._latest), packet.arrival_s - self._latest.arrival_s
        due = self._pace.packets(None, passed_s) or 0.0
        cycles = max(0, round((due - ahead) / SEQUENCE_MODULUS))
        gap = ahead + cycles * SEQUENCE_MODULUS
        fits = self._pace.fits(gap, ticks, passed_s) and (not cycles or self._pace.fits(gap, None, passed_s))
        return gap if fits else None

    def _confirm(self, held: _Packet, packet: _Packet) -> Place:
        """Go on from the packet that was held back, which the present one follows."""
        self.rejected -= 1
        self.received += 1
        gap = self._fitting_gap((held.sequence - self._latest.sequence) % SEQUENCE_MODULUS, held)
        if gap:
            self._advance(gap, held)
            return self._advance(1, packet)
        self._expected_before_restart = self.expected
        self.restarts += 1
        self._begin(held)
        self._advance(1, packet)
        return Place.RESTARTED


class _Pace:
    """How many packets a stream has in a time, by the sender's clock if it moves, else by arrivals."""

    def __init__(self) -> None:
        self._packets = 0
        self._ticks = 0
        self._seconds = 0.0

    def note(self, packets: int, ticks: int, seconds: float) -> None:
        """Learn from packets that came one after the other."""
        if packets < MAX_DROPOUT and seconds <= _PAUSE_S and ticks < TIMESTAMP_MODULUS // 2:
            self._packets += packets
            self._ticks += ticks
            self._seconds += seconds

    def packets(self, ticks: int | None, seconds: float | None) -> float | None:
        """Return how many packets are due in a time; None if that is not known."""
        if ticks is not None and self._ticks:
            return ticks * self._packets / self._ticks
        if seconds is not None and self._seconds:
            return seconds * self._packets / self._seconds
        return None

    def fits(self, packets: int, ticks: int | None, seconds: float | None) -> bool:
        """Tell whether about so many packets are due in a time."""
        due = self.packets(ticks, seconds)
        return due is not None and packets / _ODDS <= due <= packets * _ODDS


class _Missing:
    """Numbers that have not arrived, as ranges in order."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []  # from the first to before the second

    def add(self, first: int, end: int) -> None:
        """Miss a range."""
        if first < end:
            insort(self._ranges, (first, end))

    def remove(self, number: int) -> bool:
        """Miss a number no longer; tell whether it was missing."""
        place = bisect_right(self._ranges, (number, inf)) - 1
        if place < 0 or number >= self._ranges[place][1]:
            return False
        first, end = self._ranges[place]
        rest = [(first, number), (number + 1, end)]
        self._ranges[place : place + 1] = [span for span in rest if span[0] < span[1]]
        return True

    def forget_below(self, number: int) -> None:
        """Forget ranges that no sequence number names any more."""
        while self._ranges and self._ranges[0][1] <= number:
            del self._ranges[0]
