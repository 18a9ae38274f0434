"""Rows of a CSV file whose header is known: each error is one line that names file, line and column.

Pure: lines come in, wherever they are from. A line is as long as `LONGEST` at most, so that no file fills the memory.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from testbed.errors import InputError

LONGEST = 1 << 20  # characters; a function's minutes of a day, each count of nine digits, are 15,000


class TraceError(InputError):
    """A trace that cannot be used; one line naming the file, and the line and column or the way out."""


class Row(NamedTuple):
    """The cells of one row, and where it stands."""

    cells: list[str]
    line: int
    path: str
    columns: Sequence[str]

    def error(self, column: int, wanted: str) -> TraceError:
        """Return what to raise where a cell is not what it must be."""
        return TraceError(
            f"{self.path} line {self.line}: {self.columns[column]} must be {wanted}, not {self.cells[column][:40]!r}"
        )

    def text(self, column: int) -> str:
        """Return a cell that must not be empty."""
        if not self.cells[column]:
            raise self.error(column, "a hash")
        return self.cells[column]

    def number(self, column: int, least: float = 0.0) -> float:
        """Return a cell that must be a finite number, `least` or more."""
        value = self._float(column)
        if not least <= value < math.inf:
            raise self.error(column, f"a number >= {least:g}" if least > -math.inf else "a number")
        return value

    def finite(self, column: int) -> float:
        """Return a cell that must be a finite number."""
        value = self._float(column)
        if not math.isfinite(value):
            raise self.error(column, "a number")
        return value

    def _float(self, column: int) -> float:
        try:
            return float(self.cells[column])
        except ValueError:
            return math.nan


def rows(lines: Iterable[str], path: str, columns: Sequence[str], called: str) -> Iterator[Row]:
    """Yield the rows below the header, each with as many cells as there are columns. `called`: names of such files."""
    reader = csv.reader(lines)
    try:
        _check_header(next(reader, []), path, columns, called)
        for cells in reader:
            if cells:
                yield _row(cells, reader.line_num, path, columns)
    except csv.Error as error:
        raise TraceError(f"{path} line {reader.line_num}: no CSV: {error}") from error


def _row(cells: list[str], line: int, path: str, columns: Sequence[str]) -> Row:
    if len(cells) < len(columns):
        missing = columns[len(cells)]
        raise TraceError(f"{path} line {line}: {missing} is missing; there are {len(cells)} of {len(columns)} columns")
    if len(cells) > len(columns):
        raise TraceError(f"{path} line {line}: {len(cells)} columns, and the header has {len(columns)}")
    return Row(cells, line, path, columns)


def _check_header(header: Sequence[str], path: str, columns: Sequence[str], called: str) -> None:
    for number, wanted in enumerate(columns):
        found = repr(header[number][:40]) if number < len(header) else "nothing"
        if found != repr(wanted):
            raise TraceError(f"{path} line 1: column {number + 1} must be {wanted!r}, not {found}; is it {called}?")
    if len(header) > len(columns):
        raise TraceError(f"{path} line 1: a column {header[len(columns)][:40]!r} too many; is it {called}?")
