"""The load per instance while a run goes on, from the ends of the files the instances write."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from testbed.experiment.progress import InstanceLoad
from testbed.records.file_names import part_path
from testbed.records.tables import columns_of

_TAIL_BYTES = 1024
_COUNTS = ("busy_workers", "workers", "queue_length", "completed", "refused", "sessions")


class InstanceLoads:
    """Read the latest sample of each instance."""

    def __init__(self, work: Path, instances: Sequence[str]) -> None:
        self._paths = {name: part_path(work, "instances", name) for name in instances}

    def read(self) -> list[InstanceLoad]:
        """Return what is known now; instances that wrote nothing yet are left out."""
        found = (_latest(name, path) for name, path in self._paths.items())
        return [load for load in found if load is not None]


def _latest(name: str, path: Path) -> InstanceLoad | None:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return None
    whole = lines[:-1]  # what follows the last newline is being written
    if len(whole) < 2:
        return None
    row = dict(zip(columns_of("instances"), next(csv.reader([whole[-1]])), strict=False))
    try:
        counts = {key: int(row[key]) for key in _COUNTS}
        return InstanceLoad(name, **counts, utilisation=float(row["utilisation"]), time_s=float(row["time_s"]))
    except (KeyError, ValueError):  # the header, or a line cut in two
        return None
