"""What a benchmark is, and how two ways of doing a thing are compared fairly.

Machines differ and are noisy: every figure comes with that of a baseline measured in alternation with it, in the same
process. Knows nothing of what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from statistics import median
from typing import Any

from testbed.errors import TestbedError

Measure = Callable[[], float]


class Better(Enum):
    """Which way a figure should go."""

    HIGHER = ">="
    LOWER = "<="


@dataclass(frozen=True)
class Goal:
    """What a row ought to reach: its ratio to the baseline, or, without a baseline, its value."""

    limit: float
    better: Better

    def is_met_by(self, figure: float) -> bool:
        """Return whether a figure is at the limit or on its good side."""
        return figure >= self.limit if self.better is Better.HIGHER else figure <= self.limit


@dataclass(frozen=True)
class Row:
    """One figure. `value`, `baseline` and `ratio` are medians over the rounds; `spread` is (max - min) / value.

    `baseline` and `ratio` are None where there is nothing to compare with.
    """

    name: str
    unit: str
    value: float
    baseline: float | None
    ratio: float | None
    rounds: int
    spread: float
    note: str = ""
    goal: Goal | None = None

    @property
    def goal_is_met(self) -> bool | None:
        """Return whether the goal is met; None if there is none."""
        if self.goal is None:
            return None
        return self.goal.is_met_by(self.value if self.ratio is None else self.ratio)

    def document(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        fields = asdict(self)
        fields["goal"] = f"{self.goal.better.value} {self.goal.limit:g}" if self.goal else None
        return {**fields, "goal_is_met": self.goal_is_met}


@dataclass(frozen=True)
class Settings:
    """How thoroughly to measure."""

    quick: bool = False

    @property
    def rounds(self) -> int:
        """How often each way is measured."""
        return 2 if self.quick else 4


class Skipped(TestbedError):
    """A benchmark that this machine cannot run; the text names the capability it lacks."""


@dataclass(frozen=True)
class Benchmark:
    """A group of rows that are measured together. `run` yields each row as soon as it is known."""

    name: str
    summary: str
    run: Callable[[Settings], Iterable[Row]]


def compare(
    name: str, unit: str, ours: Measure, baseline: Measure, rounds: int, *, note: str = "", goal: Goal | None = None
) -> Row:
    """Measure both ways in alternation, the first of each round changing; return the medians and their ratio.

    The ratio is the median of the rounds' ratios: what slows the machine for a while slows both ways of a round.
    """
    own: list[float] = []
    other: list[float] = []
    for number in range(rounds):
        ways = [(ours, own), (baseline, other)]
        for measure, values in ways if number % 2 else reversed(ways):
            values.append(measure())
    ratio = median(mine / its for mine, its in zip(own, other, strict=True))
    return Row(name, unit, median(own), median(other), ratio, rounds, _spread(own), note, goal)


def measure(
    name: str, unit: str, values: Sequence[float] | Iterator[float], *, note: str = "", goal: Goal | None = None
) -> Row:
    """Return the row of figures that there is no baseline for, such as an error against the truth."""
    figures = list(values)
    return Row(name, unit, median(figures), None, None, len(figures), _spread(figures), note, goal)


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return (max(values) - min(values)) / abs(middle) if middle else 0.0
