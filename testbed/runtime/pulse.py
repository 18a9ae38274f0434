"""The pulse of a process: how long its loop stood still, for the verdict on a run (docs/fidelity.md).

A loop looks at its pulse whenever it wakes, and wakes for that alone only where nothing else does for `INTERVAL_S`. A
look that comes late is a gap, which begins when the look, or a timer, was due: a process that is halted measures
nothing meanwhile. Whatever kept the loop counts alike: a halt, other processes, a long step of its own.

Owns `<name>.pulse.csv`: a row as each life of the process begins and ends, and one for each gap. Time is passed in.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from testbed.records.file_names import file_name

INTERVAL_S = 0.6  # a loop that wakes twice a second anyway is never woken for this
_EARLY_S = 0.3
_NOTED_S = 0.02
_SUFFIX = ".pulse.csv"
_COLUMNS = ("event", "due_s", "looked_s")
_BEGUN, _GAP, _ENDED = "begun", "gap", "ended"


class Gap(NamedTuple):
    """A time in which a loop did nothing, though something was due."""

    begin_s: float
    end_s: float


class Pulse:
    """The pulse of one process, from `now_s` until `close`."""

    __slots__ = ("_early_s", "_next_s", "_stream")

    def __init__(self, folder: Path, name: str, now_s: float) -> None:
        # Line by line: a process that is killed leaves what it noted. One that comes back goes on with the file.
        self._stream = pulse_path(folder, name).open("a", encoding="ascii", buffering=1)
        if not self._stream.tell():
            self._stream.write(f"{','.join(_COLUMNS)}\n")
        self._write(_BEGUN, now_s, now_s)
        self.leave_out(now_s)

    def next_s(self) -> float:
        """Return when the loop must look next."""
        return self._next_s

    def look(self, now_s: float, due_s: float | None = None) -> None:
        """Note how late this look is. `due_s`: when the loop wanted to wake, if that is sooner than it must look."""
        next_s = self._next_s  # a relay looks 100,000 times a second
        if due_s is None or due_s > next_s:
            due_s = next_s
        if now_s - due_s >= _NOTED_S and not self._stream.closed:
            self._write(_GAP, due_s, now_s)
        if now_s >= self._early_s:
            self.leave_out(now_s)

    def leave_out(self, now_s: float) -> None:
        """Take what came before for no gap: the loop did something that may take long."""
        self._next_s = now_s + INTERVAL_S
        self._early_s = self._next_s - _EARLY_S

    def close(self, now_s: float) -> None:
        """End it; later looks note nothing."""
        if not self._stream.closed:
            self._write(_ENDED, now_s, now_s)
            self._stream.close()

    def _write(self, event: str, due_s: float, looked_s: float) -> None:
        self._stream.write(f"{event},{due_s:.6f},{looked_s:.6f}\n")


class Recorded(NamedTuple):
    """What the file of a pulse says: all gaps, and whether its process came to its end."""

    gaps: tuple[Gap, ...]
    has_ended: bool


def pulse_path(folder: Path, name: str) -> Path:
    """Return the file of a process's pulse."""
    return folder / f"{file_name(name)}{_SUFFIX}"


def recorded(path: Path) -> Recorded | None:
    """Read the pulse of a process, whose last row may be cut short; None if it left none."""
    try:
        rows = list(_rows(path))
    except FileNotFoundError:
        return None
    gaps = tuple(Gap(float(due), float(looked)) for event, due, looked in rows if event == _GAP)
    return Recorded(gaps, bool(rows) and rows[-1][0] == _ENDED)


def _rows(path: Path) -> Iterator[list[str]]:
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    yield from csv.reader(line for line in lines[1:] if line.endswith("\n"))
