"""How many flows go from where to where, and how they fare, over the last seconds of a run and second by second.

Pure: times come in. Memory is bounded by how long is looked back, not by how many flows there are. Processes push
their rows to the files each second, so the window ends that long ago: then it is complete, and rates do not flicker.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

WINDOW_S = 2.0
FLUSH_S = 1.0
HISTORY_S = 120
_SLOT_S = 0.5
_BINS_PER_E = 20  # a bin of the histograms is 5 % wide
_LEAST_MS = 0.01

Pair = tuple[str, str]


class Times:
    """A histogram of durations, exact to 5 %."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, duration_ms: float) -> None:
        """Count one."""
        self._bins[math.floor(math.log(max(duration_ms, _LEAST_MS)) * _BINS_PER_E)] += 1

    def merge(self, others: Iterable[Times]) -> Times:
        """Count those of others, too."""
        for other in others:
            self._bins.update(other._bins)
        return self

    def quantile_ms(self, share: float) -> float | None:
        """Return the duration that this share of them does not exceed; None if there are none."""
        wanted = share * self._bins.total()
        seen = 0
        for number, count in sorted(self._bins.items()):
            seen += count
            if seen >= wanted:
                return math.exp((number + 0.5) / _BINS_PER_E)
        return None


@dataclass
class Slot:
    """What happened within half a second. `steered`: flows by ingress and site (parts of one where it is a guess)."""

    steered: dict[Pair, float] = field(default_factory=dict)
    completion: Times = field(default_factory=Times)
    lateness: Times = field(default_factory=Times)
    ended: int = 0
    failed: int = 0


@dataclass
class Second:
    """Flows that ended within a second of the run, and the mean completion time of those that were well."""

    ended: int = 0
    failed: int = 0
    completed: int = 0
    completion_ms: float = 0.0

    @property
    def mean_ms(self) -> float | None:
        """The mean completion time; None if nothing completed."""
        return self.completion_ms / self.completed if self.completed else None


@dataclass(frozen=True)
class Window:
    """The last seconds, as rates per second."""

    flows_per_s: dict[Pair, float]
    ended_per_s: float
    failed_per_s: float
    completion: Times
    lateness: Times


class FlowRates:
    """Count flows as rows come in; `start_s` is when the load began."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._slots: dict[int, Slot] = {}
        self._seconds: dict[int, Second] = {}
        self.outcomes: Counter[str] = Counter()

    def steered(self, time_s: float, ingress: str, site: str, share: float = 1.0) -> None:
        """Count a flow, or a share of one, that an ingress sent to a site."""
        pairs = self._slot(time_s).steered
        pairs[ingress, site] = pairs.get((ingress, site), 0.0) + share

    def ended(self, time_s: float, outcome: str, completion_ms: float | None) -> None:
        """Count a flow that ended; what the end of the run cut off did not fail."""
        self.outcomes[outcome] += 1
        slot = self._slot(time_s)
        second = self._second(time_s)
        slot.ended += 1
        second.ended += 1
        if outcome not in ("ok", "interrupted"):
            slot.failed += 1
            second.failed += 1
        if outcome == "ok" and completion_ms is not None:
            slot.completion.add(completion_ms)
            second.completed += 1
            second.completion_ms += completion_ms

    def began_late(self, time_s: float, late_ms: float) -> None:
        """Take in how late a generator began a flow."""
        self._slot(time_s).lateness.add(late_ms)

    def window(self, now_s: float) -> Window:
        """Return the latest whole slots of which all rows should have come; forget what is older."""
        end = math.floor((now_s - FLUSH_S) / _SLOT_S)
        begin = end - round(WINDOW_S / _SLOT_S)
        self._slots = {number: slot for number, slot in self._slots.items() if number >= begin}
        slots = [slot for number, slot in self._slots.items() if number < end]
        flows: dict[Pair, float] = {}
        for slot in slots:
            for pair, count in slot.steered.items():
                flows[pair] = flows.get(pair, 0.0) + count
        return Window(
            {pair: count / WINDOW_S for pair, count in flows.items()},
            sum(slot.ended for slot in slots) / WINDOW_S,
            sum(slot.failed for slot in slots) / WINDOW_S,
            Times().merge(slot.completion for slot in slots),
            Times().merge(slot.lateness for slot in slots),
        )

    def history(self, now_s: float) -> dict[int, Second]:
        """Return the whole seconds of the run so far, at most the last HISTORY_S; forget what is older."""
        end = math.floor(now_s - FLUSH_S - self._start_s)
        self._seconds = {at_s: second for at_s, second in self._seconds.items() if at_s >= end - HISTORY_S}
        return {at_s: self._seconds.get(at_s, Second()) for at_s in range(max(0, end - HISTORY_S), end)}

    def _slot(self, time_s: float) -> Slot:
        number = math.floor(time_s / _SLOT_S)
        found = self._slots.get(number)
        if found is None:
            found = self._slots[number] = Slot()
        return found

    def _second(self, time_s: float) -> Second:
        number = math.floor(time_s - self._start_s)
        found = self._seconds.get(number)
        if found is None:
            found = self._seconds[number] = Second()
        return found
