"""Arrivals files: CSV, one row per flow: when it begins, and how much it asks for (`work_ms` or `duration_s`).

The runner writes them before a run, generators read them. Stdlib only; knows nothing of distributions.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from testbed.errors import InputError

WORK_COLUMN = "work_ms"
DURATION_COLUMN = "duration_s"


class ArrivalsFileError(InputError):
    """A file that is no arrivals file; one line naming file, line and column."""


class Arrival(NamedTuple):
    """One flow: `offset_s` from the start of the run; `amount` of work or duration, None where the cell is empty."""

    offset_s: float
    amount: float | None


def write(path: Path | str, column: str, arrivals: Iterable[Arrival]) -> None:
    """Write an arrivals file whose second column is `column`."""
    with Path(path).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("offset_s", column))
        for offset_s, amount in arrivals:
            writer.writerow((f"{offset_s:.9f}", "" if amount is None else f"{amount:.9g}"))


def read(path: Path | str, column: str) -> list[Arrival]:
    """Read an arrivals file, sorted by offset. Raises ArrivalsFileError; OSError if the file cannot be read."""
    with Path(path).open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        missing = {"offset_s", column} - set(rows.fieldnames or ())
        if missing:
            raise ArrivalsFileError(f"{path}: no column {', '.join(sorted(missing))}")
        arrivals = []
        for row in rows:
            where = f"{path} line {rows.line_num}"
            offset_s = _cell(row["offset_s"], f"{where}: offset_s")
            if offset_s is None:
                raise ArrivalsFileError(f"{where}: offset_s is empty")
            arrivals.append(Arrival(offset_s, _cell(row[column], f"{where}: {column}")))
    return sorted(arrivals, key=lambda arrival: arrival.offset_s)


def _cell(text: str | None, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArrivalsFileError(f"{where} must be a number >= 0, not {text!r}")
    return value
