"""The Azure Functions data set of 2019: per function and minute how often it was invoked; durations; memory.

Its formats: github.com/Azure/AzurePublicDataset, AzureFunctionsDataset2019.md. A file is a day. Pure.

Counts must be whole numbers. The other two kinds of file come from logs of their own, and the data set says that these
diverge: a row whose figures contradict each other is left out and counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import NamedTuple

from traffic.traces.functions import FunctionId
from traffic.traces.lines import Row, rows

MINUTES = 1440
TRIGGERS = ("http", "timer", "event", "queue", "storage", "orchestration", "others")
_IDENTITY = ("HashOwner", "HashApp", "HashFunction")
COUNTS_COLUMNS = (*_IDENTITY, "Trigger", *(str(minute) for minute in range(1, MINUTES + 1)))
DURATION_PERCENTS = (0, 1, 25, 50, 75, 99, 100)
DURATION_COLUMNS = (
    *_IDENTITY, "Average", "Count", "Minimum", "Maximum", *(f"percentile_Average_{of}" for of in DURATION_PERCENTS)
)  # fmt: skip
MEMORY_PERCENTS = (1, 5, 25, 50, 75, 95, 99, 100)
MEMORY_COLUMNS = (
    "HashOwner", "HashApp", "SampleCount", "AverageAllocatedMb",
    *(f"AverageAllocatedMb_pct{of}" for of in MEMORY_PERCENTS),
)  # fmt: skip
COUNTS_FILE = "invocations_per_function_md.anon.d{day:02}.csv"
DURATIONS_FILE = "function_durations_percentiles.anon.d{day:02}.csv"
MEMORY_FILE = "app_memory_percentiles.anon.d{day:02}.csv"


class DayOfFunction(NamedTuple):
    """How often a function was invoked in each minute of a day, by triggers of one group."""

    function: FunctionId
    trigger: str
    counts: array[int]


class Durations(NamedTuple):
    """How long a function took: percentiles in milliseconds, by `DURATION_PERCENTS`, and the average."""

    average_ms: float
    percentiles_ms: tuple[float, ...]

    def draw(self, rng: Random) -> float:
        """Return a random duration: between two percentiles, all are equally likely."""
        percent = 100 * rng.random()
        for (low, low_ms), (high, high_ms) in pairwise(zip(DURATION_PERCENTS, self.percentiles_ms, strict=True)):
            if percent < high:
                return low_ms + (high_ms - low_ms) * (percent - low) / (high - low)
        return self.percentiles_ms[-1]


class Memory(NamedTuple):
    """What an app had allocated: its average and percentiles in megabytes, by `MEMORY_PERCENTS`."""

    average_mb: float
    percentiles_mb: tuple[float, ...]


@dataclass
class Left:
    """How many rows were left out, because their figures contradict each other; the first of them."""

    count: int = 0
    first_line: int = 0
    path: str = ""

    def note(self, row: Row) -> None:
        """Take note of one."""
        if not self.count:
            self.first_line, self.path = row.line, row.path
        self.count += 1

    def __str__(self) -> str:
        return f"{self.path}: {self.count} rows contradict themselves and are left out, first line {self.first_line}"


@dataclass(frozen=True)
class DurationsOf:
    """Durations by function."""

    by_function: Mapping[FunctionId, Durations]
    left: Left = field(default_factory=Left)


@dataclass(frozen=True)
class MemoryOf:
    """Memory by app."""

    by_app: Mapping[str, Memory]
    left: Left = field(default_factory=Left)


def read_counts(lines: Iterable[str], path: str) -> Iterator[DayOfFunction]:
    """Yield the rows of a file of counts. Raises TraceError."""
    for row in rows(lines, path, COUNTS_COLUMNS, COUNTS_FILE.replace("{day:02}", "NN")):
        function = FunctionId(row.text(1), row.text(2))
        try:
            counts = array("Q", map(int, row.cells[4:]))
        except (ValueError, OverflowError):
            raise _bad_count(row) from None
        yield DayOfFunction(function, row.cells[3], counts)


def read_durations(lines: Iterable[str], path: str) -> DurationsOf:
    """Return durations by function. Minimum and maximum may be empty. Raises TraceError."""
    found: dict[FunctionId, Durations] = {}
    left = Left()
    for row in rows(lines, path, DURATION_COLUMNS, DURATIONS_FILE.replace("{day:02}", "NN")):
        average_ms = row.finite(3)
        percentiles_ms = tuple(row.finite(column) for column in range(7, len(DURATION_COLUMNS)))
        if average_ms < 0 or not _ascends(percentiles_ms):
            left.note(row)
            continue
        found[FunctionId(row.text(1), row.text(2))] = Durations(average_ms, percentiles_ms)
    return DurationsOf(found, left)


def read_memory(lines: Iterable[str], path: str) -> MemoryOf:
    """Return memory by app. Raises TraceError."""
    found: dict[str, Memory] = {}
    left = Left()
    for row in rows(lines, path, MEMORY_COLUMNS, MEMORY_FILE.replace("{day:02}", "NN")):
        average_mb = row.finite(3)
        percentiles_mb = tuple(row.finite(column) for column in range(4, len(MEMORY_COLUMNS)))
        if average_mb < 0 or not _ascends(percentiles_mb):
            left.note(row)
            continue
        found[row.text(1)] = Memory(average_mb, percentiles_mb)
    return MemoryOf(found, left)


def _bad_count(row: Row) -> Exception:
    for column in range(4, len(row.cells)):
        try:
            array("Q", (int(row.cells[column]),))
        except (ValueError, OverflowError):
            return row.error(column, "a whole number >= 0")
    raise AssertionError("every count is good")


def _ascends(values: tuple[float, ...]) -> bool:
    return values[0] >= 0 and all(low <= high for low, high in pairwise(values))
