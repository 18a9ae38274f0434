"""Small traces of invocations, as texts and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from traffic.traces.azure_2019 import COUNTS_COLUMNS, DURATION_COLUMNS, MINUTES
from traffic.traces.azure_2021 import COLUMNS

COUNTS_NAME = "invocations_per_function_md.anon.d01.csv"
DURATIONS_NAME = "function_durations_percentiles.anon.d01.csv"


def counts_text(functions: Mapping[str, Mapping[int, int]], header: Sequence[str] = COUNTS_COLUMNS) -> str:
    """Return a day of functions, each with its counts by minute from 1; app and owner are called as the function is."""
    lines = [",".join(header)]
    for name, counts in functions.items():
        cells = [str(counts.get(minute, 0)) for minute in range(1, MINUTES + 1)]
        lines.append(",".join((f"owner-{name}", f"app-{name}", name, "http", *cells)))
    return "\n".join(lines) + "\n"


def durations_text(functions: Mapping[str, Sequence[float]]) -> str:
    """Return durations of functions, by their seven percentiles; minima and maxima were not recorded."""
    lines = [",".join(DURATION_COLUMNS)]
    for name, percentiles in functions.items():
        figures = ",".join(map(str, percentiles))
        lines.append(f"owner-{name},app-{name},{name},{percentiles[3]},9,,,{figures}")
    return "\n".join(lines) + "\n"


def invocations_text(rows: Sequence[tuple[str, float, float]]) -> str:
    """Return single invocations: function, end and duration of each, in seconds."""
    lines = [",".join(COLUMNS), *(f"app-{name},{name},{end_s},{duration_s}" for name, end_s, duration_s in rows)]
    return "\n".join(lines) + "\n"


def counts_file(folder: Path, functions: Mapping[str, Mapping[int, int]]) -> Path:
    """Write a day of functions; return its file."""
    path = folder / COUNTS_NAME
    path.write_text(counts_text(functions), encoding="utf-8")
    return path


def invocations_file(folder: Path, rows: Sequence[tuple[str, float, float]]) -> Path:
    """Write single invocations; return their file."""
    path = folder / "invocations.txt"
    path.write_text(invocations_text(rows), encoding="utf-8")
    return path
