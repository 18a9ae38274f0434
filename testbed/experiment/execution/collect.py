"""Make one table of the parts that the processes of a run wrote, completed by the systems that know more of a row.

Reads and writes files only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from testbed.experiment.plan.plan import Plan
from testbed.experiment.system import systems
from testbed.records import result_files
from testbed.records.parts import whole_rows
from testbed.records.tables import catalogue

Row = dict[str, str]


def collect(work: Path, run_dir: Path, plan: Plan) -> dict[str, int]:
    """Merge all parts in `work` into tables in `run_dir`; return rows by table."""
    completing = [system.completing(plan, work) for system in systems()]
    counts = {}
    for table, described in catalogue().items():
        rows: Iterable[Row] = parts(work, table)
        for by_table in completing:
            rows = map(by_table[table], rows) if table in by_table else rows
        counts[table] = _write(run_dir / f"{table}.csv", described.names, rows)
    return counts


def parts(work: Path, table: str) -> Iterator[Row]:
    """Yield the rows of a table that processes wrote to `work`."""
    for path in sorted(work.glob(f"{table}.*.part.csv")):
        yield from whole_rows(path)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    with result_files.replacing(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    return count
