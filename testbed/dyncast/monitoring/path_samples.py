"""All that was measured of a path over the last while, for whoever reports it: round trips, one-way delays, losses.

Pure. Decisions rest on `path_state`, which keeps the last few round trips alone; this is kept where somebody asks for
it. One-way delays are those of the other side's probes, and right where both clocks are one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Samples:
    """Delays in the order of their time; of `probes` whose time for an answer is over, how many were `answered`."""

    probes: int
    answered: int
    round_trips_s: tuple[float, ...]
    one_ways_s: tuple[float, ...]


@dataclass
class _Sent:
    """A probe, and how long it took to come back; None: it did not yet."""

    sent_s: float
    round_trip_s: float | None = None


class PathSamples:
    """What was measured of one path over the last `window_s`; a probe has `overdue_s` to be answered.

    Losses are those of the window before that time, so that none is counted that is not one.
    """

    def __init__(self, window_s: float, overdue_s: float) -> None:
        self.window_s = window_s
        self._overdue_s = overdue_s
        self._sent: dict[int, _Sent] = {}  # by their sequence, in the order of their time
        self._one_ways: deque[tuple[float, float]] = deque()  # when they came, and the delay

    def on_sent(self, sequence: int, now_s: float) -> None:
        """Take note of a probe under way."""
        self._leave_out(now_s)
        self._sent[sequence] = _Sent(now_s)

    def on_back(self, sequence: int, round_trip_s: float) -> None:
        """Take in a round trip; one that was taken in, or is of no recent probe, is passed over."""
        sent = self._sent.get(sequence)
        if sent is not None and sent.round_trip_s is None and round_trip_s >= 0:
            sent.round_trip_s = round_trip_s

    def on_one_way(self, delay_s: float, now_s: float) -> None:
        """Take in how long a probe of the other side took; less than nothing is no delay, but two clocks."""
        self._leave_out(now_s)
        if delay_s >= 0:
            self._one_ways.append((now_s, delay_s))

    def taken(self, now_s: float) -> Samples:
        """Return what was measured."""
        self._leave_out(now_s)
        evaluated = [
            sent.round_trip_s is not None for sent in self._sent.values() if sent.sent_s <= now_s - self._overdue_s
        ]
        since_s = now_s - self.window_s
        round_trips_s = (sent.round_trip_s for sent in self._sent.values() if sent.sent_s >= since_s)
        return Samples(
            len(evaluated),
            sum(evaluated),
            tuple(time_s for time_s in round_trips_s if time_s is not None),
            tuple(delay_s for _, delay_s in self._one_ways),
        )

    def _leave_out(self, now_s: float) -> None:
        since_s = now_s - self.window_s
        while self._sent and next(iter(self._sent.values())).sent_s < since_s - self._overdue_s:
            del self._sent[next(iter(self._sent))]
        while self._one_ways and self._one_ways[0][0] < since_s:
            self._one_ways.popleft()
