"""Traces of invocations as files: which format one has, its functions, the arrivals of a run.

Owns reading, in lines of bounded length; what they mean is said by the modules of the formats.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TextIO

from traffic.arrivals.file import Arrival
from traffic.traces import azure_2019, azure_2021, functions, replay
from traffic.traces.azure_2019 import DurationsOf, MemoryOf
from traffic.traces.functions import FunctionId
from traffic.traces.lines import LONGEST, TraceError
from traffic.traces.replay import Counted, Replay

_FIRST_COLUMNS = {"HashOwner,HashApp,HashFunction,Trigger": 2019, "app,func,": 2021}
_DAY = re.compile(r"invocations_per_function_md\.anon\.d(\d\d)\.csv")


@dataclass(frozen=True)
class Drawn:
    """The arrivals of a run: offsets from the begin of its window, durations in milliseconds where they are known."""

    arrivals: list[Arrival]
    functions: int
    counted: Counted
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"{self.counted.invocations:,} invocations of {self.functions:,} functions become {len(self.arrivals):,}"
        if self.counted.begun_before:
            said += f"; {self.counted.begun_before:,} that began before the trace are left out"
        if self.counted.without_duration:
            said += f"; of {self.counted.without_duration:,} no duration is known"
        return "; ".join((said, *self.notes))


class InvocationTrace:
    """A file of invocations: counts of 2019, or single invocations of 2021."""

    def __init__(self, path: Path, year: int) -> None:
        self.path = path
        self.year = year

    @classmethod
    def at(cls, path: Path) -> InvocationTrace:
        """Return the trace that a file is. Raises TraceError."""
        year = year_of(path)
        if year is None:
            raise TraceError(
                f"{path} line 1: no trace of invocations; its columns must begin with HashOwner, HashApp, "
                "HashFunction, Trigger (Azure Functions 2019) or with app, func (2021)"
            )
        return cls(path, year)

    def totals(self) -> Mapping[FunctionId, int]:
        """Return how often each function was invoked; a file that does not change is read once."""
        status = self.path.stat()
        return _totals(self.year, self.path, status.st_mtime_ns, status.st_size)

    def draw(
        self, wanted: Sequence[int | str] | None, of: Replay, rng: Random, durations: DurationsOf | None = None
    ) -> Drawn:
        """Return the arrivals of the `wanted` functions in the window. Raises TraceError that may begin with a key."""
        if self.year == 2019 and of.first_minute > azure_2019.MINUTES:
            raise TraceError(f"first_minute: {self.path} has {azure_2019.MINUTES} minutes, not {of.first_minute}")
        chosen = functions.chosen(wanted, self.totals(), str(self.path))
        counted = Counted()
        with _lines(self.path) as lines:
            if self.year == 2019:
                days = azure_2019.read_counts(lines, str(self.path))
                known = None if durations is None else durations.by_function
                drawn = replay.of_counts(days, chosen, of, rng, counted, known)
            else:
                drawn = replay.of_invocations(azure_2021.read(lines, str(self.path)), chosen, of, rng, counted)
            arrivals = replay.in_order(drawn, str(self.path))
        if not counted.invocations:
            until = "the end" if of.minutes is None else f"{of.first_minute + of.minutes - 1}"
            raise TraceError(
                f"first_minute: none of the functions is invoked in minutes {of.first_minute} to {until} of {self.path}"
            )
        notes = () if durations is None or not durations.left.count else (str(durations.left),)
        return Drawn(arrivals, len(chosen), counted, notes)

    def triggers(self) -> dict[FunctionId, str]:
        """Return by what each function is triggered, as far as the trace says so."""
        if self.year != 2019:
            return {}
        with _lines(self.path) as lines:
            return {day.function: day.trigger for day in azure_2019.read_counts(lines, str(self.path))}

    def beside(self, kind: str) -> Path | None:
        """Return the file of the same day that has durations or memory, if it lies beside the counts."""
        match = _DAY.fullmatch(self.path.name)
        if match is None:
            return None
        path = self.path.with_name(kind.format(day=int(match[1])))
        return path if path.is_file() else None


def year_of(path: Path) -> int | None:
    """Return of which data set a file has the format; None: of none. Raises TraceError if it cannot be read."""
    with _lines(path) as lines:
        header = next(lines, "")
    return next((year for columns, year in _FIRST_COLUMNS.items() if header.startswith(columns)), None)


def durations(path: Path) -> DurationsOf:
    """Read the durations of 2019. Raises TraceError."""
    with _lines(path) as lines:
        return azure_2019.read_durations(lines, str(path))


def memory(path: Path) -> MemoryOf:
    """Read the memory of 2019. Raises TraceError."""
    with _lines(path) as lines:
        return azure_2019.read_memory(lines, str(path))


@lru_cache(maxsize=8)
def _totals(year: int, path: Path, _changed_ns: int, _bytes: int) -> Mapping[FunctionId, int]:
    found: Counter[FunctionId] = Counter()
    with _lines(path) as lines:
        if year == 2019:
            for day in azure_2019.read_counts(lines, str(path)):
                found[day.function] += sum(day.counts)
        else:
            found.update(invocation.function for invocation in azure_2021.read(lines, str(path)))
    if not found:
        raise TraceError(f"{path}: no function is in it")
    return found


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            yield _bounded(stream, path)
    except OSError as error:
        raise TraceError(f"cannot read trace {path}: {error.strerror}; is the path right?") from error
    except UnicodeDecodeError:
        raise TraceError(f"cannot read trace {path}: not a UTF-8 text file; is it unpacked?") from None


def _bounded(stream: TextIO, path: Path) -> Iterator[str]:
    number = 1
    while line := stream.readline(LONGEST):
        if len(line) == LONGEST:
            raise TraceError(f"{path} line {number}: longer than {LONGEST:,} characters")
        yield line
        number += 1
