"""The tables a run leaves behind: their columns, and the one way rows get into files.

Stdlib only, for it is imported by every process inside a namespace. Owns the CSV schema (design: one
row per thing, times in seconds on CLOCK_MONOTONIC, relative to nothing); knows nothing of who writes.
Each process writes parts `<table>.<process>.part.csv` in its work folder; the runner merges them.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TextIO

MANIFEST_FORMAT = 1  # of manifest.json; it changes when old readers would misread new manifests, or the other way round

VARIANT = "variant"  # what a manifest's case, and a comparison, call the named variant of a study that a run is of

# What they mean: docs/tables.md.
TABLES: Mapping[str, tuple[str, ...]] = {
    "flows": (
        "flow_id",
        "call",
        "workload",
        "kind",
        "service",
        "client",
        "ingress",
        "instance",
        "site",
        "proto",
        "src",
        "src_port",
        "d_sid",
        "dst",
        "dst_port",
        "resolution_ms",
        "due_s",
        "started_s",
        "connected_s",
        "finished_s",
        "completion_ms",
        "bytes_sent",
        "bytes_received",
        "packets_sent",
        "packets_received",
        "requested_rate_pps",
        "achieved_rate_pps",
        "work_ms",
        "outcome",
    ),
    "dns": (
        "time_s",
        "client",
        "service",
        "host_name",
        "type",
        "server",
        "answer",
        "ttl_s",
        "took_ms",
        "outcome",
    ),
    "rtp": (
        "flow_id",
        "call",
        "receiver",
        "direction",
        "src",
        "src_port",
        "ssrc",
        "payload_type",
        "first_s",
        "last_s",
        "packets_expected",
        "packets_received",
        "packets_lost",
        "loss_fraction",
        "duplicates",
        "reordered",
        "jitter_ms",
        "delay_mean_ms",
        "delay_p95_ms",
        "delay_max_ms",
    ),
    "decisions": (
        "time_s",
        "d_router",
        "service",
        "policy",
        "proto",
        "src",
        "src_port",
        "d_sid",
        "dst_port",
        "d_bid",
        "egress",
        "metrics_age_s",
        "considered",
        "candidates",
    ),
    "weights": ("time_s", "d_router", "service", "d_sid", "d_bid", "weight"),
    "metrics": (
        "time_s",
        "node",
        "event",
        "reason",
        "source",
        "sequence",
        "d_sid",
        "d_bid",
        "score",
        "workers",
        "busy_workers",
        "queue_length",
        "queue_limit",
        "sessions",
        "sessions_started",
        "utilisation",
        "service_time_ms",
        "cpu_utilisation",
        "memory_bytes",
        "memory_limit_bytes",
        "capacity_per_s",
        "throughput_bps",
        "computing_score",
        "communication_score",
        "service_score",
        "age_s",
    ),
    "instances": (
        "time_s",
        "instance",
        "service",
        "site",
        "workers",
        "busy_workers",
        "queue_length",
        "sessions",
        "utilisation",
        "completed",
        "refused",
        "cpu_s",
    ),
    "ports": (
        "time_s",
        "d_router",
        "port",
        "rate_mbps",
        "sent_bytes",
        "sent_packets",
        "dropped_packets",
        "sent_mbps",
        "utilisation",
        "drop_share",
        "queueing_ms",
    ),
    "control": ("time_s", "node", "direction", "peer", "kind", "messages", "bytes"),
    "commands": (
        "workload",
        "service",
        "client",
        "argv",
        "due_s",
        "started_s",
        "finished_s",
        "exit_code",
        "outcome",
        "figures",
        "output",
        "last_words",
    ),
    "affinity": (
        "instance",
        "service",
        "proto",
        "src",
        "src_port",
        "dst",
        "dst_port",
        "first_s",
        "last_s",
        "packets",
        "bytes",
    ),
    "faults": (
        "number",
        "due_s",
        "time_s",
        "fault",
        "target",
        "event",
        "detail",
        "time_to_detect_s",
        "time_to_tell_all_s",
        "time_to_steer_away_s",
        "flows_broken",
    ),
}


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


def set_aside(folder: Path, process: str) -> None:
    """Keep the parts of a process that ended, whole rows only, where a successor of its name does not write."""
    for table in TABLES:
        part = folder / f"{table}.{process}.part.csv"
        if not part.exists():
            continue
        with part.open("rb+") as stream:
            stream.truncate(stream.read().rfind(b"\n") + 1)  # a killed process may leave half a row
        lives = (folder / f"{table}.{process}~{life}.part.csv" for life in itertools.count(1))
        part.rename(next(path for path in lives if not path.exists()))


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
        opened = self._open.get(table) or self._start(table)
        if not row.keys() <= opened.known:
            raise ValueError(f"table {table} has no column {', '.join(sorted(row.keys() - opened.known))}")
        # By hand, for csv.DictWriter takes several times as long, and an ingress writes a row for each new flow.
        values = map(row.get, opened.columns)
        opened.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in values])

    def flush(self) -> None:
        """Push what is buffered to the files, so that a live reader sees it."""
        for opened in self._open.values():
            opened.stream.flush()

    def close(self) -> None:
        """Flush and close every file."""
        for opened in self._open.values():
            opened.stream.close()
        self._open.clear()

    def _start(self, table: str) -> _Table:
        columns = TABLES[table]
        stream = (self._folder / f"{table}.{self._process}.part.csv").open("w", newline="", encoding="utf-8")
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
