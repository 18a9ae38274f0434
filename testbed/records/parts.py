"""Parts of tables: read while somebody still writes them, and set aside when a process ended."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from testbed.records.file_names import part_path
from testbed.records.tables import catalogue


def whole_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield what is complete of a table that somebody may be writing, or was killed while writing; none if not there.

    A row without its end counts as not written yet, and so does all that is written after the end was reached.
    """
    try:
        stream = path.open(newline="", encoding="utf-8")
    except FileNotFoundError:
        return
    with stream:
        yield from csv.DictReader(_whole_lines(stream))


def _whole_lines(stream: Iterable[str]) -> Iterator[str]:
    # A generator ends once. A file that grows begins again, and csv.DictReader, which asks a file that was empty
    # twice, would take its first row for the header.
    for line in stream:
        if not line.endswith(("\n", "\r")):
            return
        yield line


def archive_parts(folder: Path, process: str) -> None:
    """Keep the parts of a process that ended, whole rows only, where a successor of its name does not write."""
    for table in catalogue():
        part = part_path(folder, table, process)
        if not part.exists():
            continue
        with part.open("rb+") as stream:
            stream.truncate(stream.read().rfind(b"\n") + 1)  # a killed process may leave half a row
        lives = (part_path(folder, table, process, life) for life in itertools.count(1))
        part.rename(next(path for path in lives if not path.exists()))
