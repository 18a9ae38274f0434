"""The arrivals of a workload, each taken once, when it is due.

Pure: time comes in through the schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from traffic.arrivals.file import Arrival
from traffic.arrivals.schedule import Schedule


class DueArrivals:
    """`on_arrival` is called with number and due time of each; offsets count from the `start_s` of `begin`."""

    def __init__(
        self, arrivals: Sequence[Arrival], schedule: Schedule, on_arrival: Callable[[int, float], None]
    ) -> None:
        self._arrivals = arrivals
        self._schedule = schedule
        self._on_arrival = on_arrival
        self._start_s = 0.0
        self._next = 0

    def begin(self, start_s: float) -> None:
        """Put the first arrival on the schedule."""
        self._start_s = start_s
        if self._arrivals:
            self._schedule.add(start_s + self._arrivals[0].offset_s, self._begin_due)

    def due(self, now_s: float) -> Iterator[tuple[int, float]]:
        """Take those that are due and were not taken yet: number and due time of each."""
        while (due_s := self._next_due_s()) is not None and due_s <= now_s:
            self._next += 1
            yield self._next - 1, due_s

    def _next_due_s(self) -> float | None:
        return self._start_s + self._arrivals[self._next].offset_s if self._next < len(self._arrivals) else None

    def _begin_due(self, now_s: float) -> float | None:
        for number, due_s in self.due(now_s):
            self._on_arrival(number, due_s)
        return self._next_due_s()
