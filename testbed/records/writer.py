"""The one way rows get into files: each process appends to its own parts of the tables."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TextIO

from testbed.records.file_names import part_path
from testbed.records.tables import columns_of


class _Table(NamedTuple):
    columns: tuple[str, ...]
    known: frozenset[str]
    writerow: Callable[[Iterable[object]], object]
    stream: TextIO


class RecordWriter:
    """Append rows to this process's part of the tables. Rows are dicts; a missing column stays empty.

    Raises KeyError for an unknown table, ValueError for a column the table does not have.
    """

    def __init__(self, folder: Path | str, process: str) -> None:
        self._folder = Path(folder)
        self._process = process
        self._open: dict[str, _Table] = {}

    def write(self, table: str, row: Mapping[str, object]) -> None:
        """Append one row; floats are written with microsecond precision."""
        opened = self._opened(table)
        if not row.keys() <= opened.known:
            raise ValueError(f"table {table} has no column {', '.join(sorted(row.keys() - opened.known))}")
        # By hand, for csv.DictWriter takes several times as long, and an ingress writes a row for each new flow.
        values = map(row.get, opened.columns)
        opened.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in values])

    def write_whole(self, table: str, rows: Iterable[Iterable[object]]) -> None:
        """Append rows that have all columns of the table, in its order: many at once, without a dict for each."""
        writerow = self._opened(table).writerow
        for row in rows:
            writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])

    def flush(self) -> None:
        """Push what is buffered to the files, so that a live reader sees it."""
        for opened in self._open.values():
            opened.stream.flush()

    def close(self) -> None:
        """Flush and close every file."""
        for opened in self._open.values():
            opened.stream.close()
        self._open.clear()

    def _opened(self, table: str) -> _Table:
        return self._open.get(table) or self._start(table)

    def _start(self, table: str) -> _Table:
        columns = columns_of(table)
        stream = part_path(self._folder, table, self._process).open("w", newline="", encoding="utf-8")
        writerow = csv.writer(stream).writerow
        writerow(columns)
        opened = self._open[table] = _Table(columns, frozenset(columns), writerow, stream)
        return opened

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
