"""From invocations of a trace to arrivals of a run: a window of the trace, at another speed, with more or less load.

Pure: random numbers come in. A trace of counts does not say when in its minute an invocation was: `Spread` does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random

from traffic.arrivals.file import Arrival
from traffic.traces.azure_2019 import DayOfFunction, Durations
from traffic.traces.azure_2021 import Invocation
from traffic.traces.functions import FunctionId
from traffic.traces.lines import TraceError

MOST_ARRIVALS = 1_000_000
_MINUTE_S = 60.0


class Spread(str, Enum):
    """When in its minute an invocation begins."""

    POISSON = "poisson"  # any time, whatever the others do: a Poisson process of which the count is known
    UNIFORM = "uniform"  # at equal gaps, the first after half of one


@dataclass(frozen=True)
class Replay:
    """What of a trace is replayed, and how: `minutes` from `first_minute` on, counted from 1; None: to the end."""

    first_minute: int = 1
    minutes: int | None = None
    speed: float = 1.0  # seconds of the trace in one of the run
    load: float = 1.0  # invocations of the run for one of the trace
    spread: Spread = Spread.POISSON

    @property
    def begin_s(self) -> float:
        """Where it begins, in seconds from the begin of the trace."""
        return _MINUTE_S * (self.first_minute - 1)

    @property
    def end_s(self) -> float:
        """Where it ends."""
        return math.inf if self.minutes is None else self.begin_s + _MINUTE_S * self.minutes

    def until(self, duration_s: float) -> Replay:
        """Return it without what comes later than a run of `duration_s`."""
        lasting = math.ceil(duration_s * self.speed / _MINUTE_S)
        minutes = lasting if self.minutes is None else min(lasting, self.minutes)
        return Replay(self.first_minute, max(1, minutes), self.speed, self.load, self.spread)


@dataclass
class Counted:
    """What was found in the window of a trace, before `load`."""

    invocations: int = 0
    without_duration: int = 0
    begun_before: int = 0  # the trace; nobody knows their minute


def of_counts(
    days: Iterable[DayOfFunction],
    wanted: Collection[FunctionId],
    replay: Replay,
    rng: Random,
    counted: Counted,
    durations: Mapping[FunctionId, Durations] | None = None,
) -> Iterator[Arrival]:
    """Yield the arrivals of a day's counts, in no order: offsets from the begin of the window, durations in ms."""
    for day in days:
        if day.function not in wanted:
            continue
        of_function = None if durations is None else durations.get(day.function)
        minutes = day.counts[replay.first_minute - 1 :][: replay.minutes]
        for minute, count in enumerate(minutes):
            counted.invocations += count
            counted.without_duration += count if durations is not None and of_function is None else 0
            for within_s in _within(_scaled(count, replay.load, rng), replay.spread, rng):
                duration_ms = None if of_function is None else of_function.draw(rng) / replay.speed
                yield Arrival((_MINUTE_S * minute + within_s) / replay.speed, duration_ms)


def of_invocations(
    invocations: Iterable[Invocation],
    wanted: Collection[FunctionId],
    replay: Replay,
    rng: Random,
    counted: Counted,
) -> Iterator[Arrival]:
    """Yield the arrivals of invocations, in no order; those that `load` adds begin some time in the same minute."""
    for invocation in invocations:
        begin_s = invocation.begin_s
        if invocation.function not in wanted:
            continue
        if begin_s < 0:
            counted.begun_before += 1
            continue
        if not replay.begin_s <= begin_s < replay.end_s:
            continue
        counted.invocations += 1
        duration_ms = 1000 * invocation.duration_s / replay.speed
        for copy in range(_scaled(1, replay.load, rng)):
            at_s = begin_s if not copy else _MINUTE_S * (begin_s // _MINUTE_S + rng.random())
            yield Arrival((at_s - replay.begin_s) / replay.speed, duration_ms)


def in_order(arrivals: Iterable[Arrival], path: str) -> list[Arrival]:
    """Return arrivals by offset. Raises TraceError for more than a run can take."""
    found: list[Arrival] = []
    for arrival in arrivals:
        found.append(arrival)
        if len(found) > MOST_ARRIVALS:
            raise TraceError(
                f"load: more than {MOST_ARRIVALS:,} invocations of {path} fall into the run; lower load or minutes, "
                "or take fewer functions"
            )
    return sorted(found, key=lambda arrival: arrival.offset_s)


def _scaled(count: int, load: float, rng: Random) -> int:
    """Return how many invocations there are instead of `count`: on average `load` times as many."""
    whole, part = divmod(load, 1)
    # More than a run takes need no chance: they are refused anyway.
    more = round(count * part) if count > MOST_ARRIVALS else sum(rng.random() < part for _ in range(count))
    return int(whole) * count + more


def _within(count: int, spread: Spread, rng: Random) -> Iterator[float]:
    for number in range(count):
        share = rng.random() if spread is Spread.POISSON else (number + 0.5) / count
        yield _MINUTE_S * share
