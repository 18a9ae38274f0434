"""The rows of a table that a process still writes: each handed out once, as soon as it is whole.

Owns the place in the file. Knows nothing of what rows mean.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from testbed.records.file_names import part_path
from testbed.records.tables import columns_of

MOST_BYTES = 2**20  # per look: a busy client writes a third of it in half a second


class Tail:
    """Follow one process's part of a table (`testbed.records.tables`), over restarts of that process."""

    def __init__(self, folder: Path, table: str, process: str, most_bytes: int = MOST_BYTES) -> None:
        self._path = part_path(folder, table, process)
        self._columns = list(columns_of(table))
        self._most_bytes = most_bytes
        self._stream: BinaryIO | None = None
        self._half = b""

    def rows(self) -> list[dict[str, str]]:
        """Return the rows that were completed since the last look; of more than `most_bytes`, the rest next time."""
        if self._stream is None and not self._open():
            return []
        assert self._stream is not None
        taken = self._stream.read(self._most_bytes)
        if len(taken) < self._most_bytes and self._was_replaced():
            # What a killed process left was set aside, without its last half row; its successor writes a new file.
            found = self._whole(taken)
            self.close()
            return found + (self._whole(self._stream.read(self._most_bytes)) if self._open() else [])
        return self._whole(taken)

    def close(self) -> None:
        """Let go of the file; the next look begins at the top of the one that is there then."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._half = None, b""

    def _open(self) -> bool:
        try:
            self._stream = self._path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def _was_replaced(self) -> bool:
        assert self._stream is not None
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False  # not yet
        return not os.path.samestat(os.fstat(self._stream.fileno()), there)

    def _whole(self, taken: bytes) -> list[dict[str, str]]:
        lines, newline, self._half = (self._half + taken).rpartition(b"\n")
        rows = csv.reader(io.StringIO((lines + newline).decode("utf-8", "replace"), newline=""))
        columns = self._columns
        return [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns) and row != columns]


def all_rows(tails: Iterable[Tail]) -> Iterator[Mapping[str, str]]:
    """Yield what was written to all of these since the last time."""
    for tail in tails:
        yield from tail.rows()
