"""Make one table of the parts that the processes of a run wrote, and complete what only all parts together tell.

Reads and writes files only. A flow's instance is named by the instance's answer (HTTP) or by the ground
truth of the affinity table (RTP).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from testbed.experiment.plan.plan import Plan
from testbed.records.parts import whole_rows
from testbed.records.tables import catalogue

Row = dict[str, str]


def collect(work: Path, run_dir: Path, plan: Plan) -> dict[str, int]:
    """Merge all parts in `work` into tables in `run_dir`; return rows by table."""
    served_by = _instances_by_flow(work)
    site_of = {item.name: item.site for item in plan.instances}
    ingress_of = {client.name: client.site for client in plan.clients}

    def complete(row: Row) -> Row:
        row["ingress"] = ingress_of.get(row["client"], "")
        if not row["instance"]:
            row["instance"] = served_by.get((row["service"], row["proto"], row["src"], row["src_port"]), "")
        row["site"] = site_of.get(row["instance"], "")
        return row

    counts = {}
    for table, described in catalogue().items():
        rows: Iterable[Row] = _parts(work, table)
        counts[table] = _write(
            run_dir / f"{table}.csv", described.names, map(complete, rows) if table == "flows" else rows
        )
    return counts


def _parts(work: Path, table: str) -> Iterator[Row]:
    for path in sorted(work.glob(f"{table}.*.part.csv")):
        yield from whole_rows(path)


def _instances_by_flow(work: Path) -> Mapping[tuple[str, str, str, str], str]:
    """Return who served (service, proto, client address, client port), as the instances saw it."""
    return {
        (row["service"], row["proto"], row["src"], row["src_port"]): row["instance"] for row in _parts(work, "affinity")
    }


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    return count
