"""Synthetic traces as files of the Azure Functions data sets, which `file` reads as it reads the real ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from traffic.traces import azure_2019, azure_2021, synthetic
from traffic.traces.azure_2021 import Invocation
from traffic.traces.lines import TraceError
from traffic.traces.synthetic import Function, Population

MOST_ROWS = 5_000_000  # of a trace of single invocations
_MINUTE_S = 60.0


def write_2019(folder: Path, population: Population, days: int, rng: Random) -> list[Path]:
    """Write three files for each day: counts, durations, memory; return them. Raises TraceError."""
    names = (azure_2019.COUNTS_FILE, azure_2019.DURATIONS_FILE, azure_2019.MEMORY_FILE)
    paths = [folder / name.format(day=day) for day in range(1, days + 1) for name in names]
    _check_new(paths)
    for day in range(days):
        totals: dict[Function, int] = {}  # of those that are invoked, of which alone a day's files have rows
        counted, timed, remembered = paths[3 * day : 3 * day + 3]
        _write(counted, azure_2019.COUNTS_COLUMNS, _count_rows(population, rng, totals))
        _write(timed, azure_2019.DURATION_COLUMNS, _duration_rows(totals))
        _write(remembered, azure_2019.MEMORY_COLUMNS, _memory_rows(totals))
    return paths


def write_2021(folder: Path, population: Population, days: int, rng: Random) -> list[Path]:
    """Write one file of single invocations; return it. Raises TraceError."""
    expected = days * sum(function.per_day for function in population.functions)
    if expected > MOST_ROWS:
        raise TraceError(
            f"the trace would have about {expected:,.0f} rows, and {MOST_ROWS:,} are the most; lower --apps, --days or "
            "--most-per-day"
        )
    path = folder / azure_2021.FILE
    _check_new([path])
    _write(path, azure_2021.COLUMNS, _invocation_rows(population, days, rng))
    return [path]


def _count_rows(population: Population, rng: Random, totals: dict[Function, int]) -> Iterator[Sequence[object]]:
    """Draw a day of each function; note in `totals` how often it was invoked."""
    for function in population.functions:
        day = synthetic.day_of(function, rng)
        total = sum(day.counts)
        if total:
            totals[function] = total
            yield (function.of.owner, *function.id, day.trigger, *day.counts)


def _duration_rows(totals: Mapping[Function, int]) -> Iterator[Sequence[object]]:
    for function, total in totals.items():
        known = function.durations
        figures = [f"{value:.3f}" for value in known.percentiles_ms]
        average = f"{known.average_ms:.3f}"
        yield (function.of.owner, *function.id, average, total, figures[0], figures[-1], *figures)


def _memory_rows(found: Iterable[Function]) -> Iterator[Sequence[object]]:
    for app in {function.of.app: function.of for function in found}.values():
        figures = [f"{value:.3f}" for value in app.memory.percentiles_mb]
        yield (app.owner, app.app, azure_2019.MINUTES, f"{app.memory.average_mb:.3f}", *figures)


def _invocation_rows(population: Population, days: int, rng: Random) -> Iterator[Sequence[object]]:
    """Yield rows by the minute in which invocations begin, in each by their ends."""
    for day in range(days):
        drawn = ((function, synthetic.day_of(function, rng).counts) for function in population.functions)
        counts = [(function, of) for function, of in drawn if any(of)]
        for minute in range(azure_2019.MINUTES):
            begin_s = _MINUTE_S * (azure_2019.MINUTES * day + minute)
            begun = [
                _invocation(function, begin_s, rng) for function, of in counts if of[minute] for _ in range(of[minute])
            ]
            for one in sorted(begun, key=lambda invocation: invocation.end_s):
                yield (*one.function, f"{one.end_s:.6f}", f"{one.duration_s:.3f}")


def _invocation(function: Function, minute_s: float, rng: Random) -> Invocation:
    took_s = round(synthetic.duration_s(function, rng), 3)
    return Invocation(function.id, minute_s + _MINUTE_S * rng.random() + took_s, took_s)


def _check_new(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.exists():
            raise TraceError(f"{path} is there already; name another folder")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
