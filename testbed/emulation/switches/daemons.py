"""Open vSwitch's daemons while a run goes on: whether those that served its bridges at first still do.

An end is seen even if the daemon is back at once, under whatever process id: by the descriptor of its process, or,
where it lives in another container and only its files are here, by its pid file. All runs of a machine share the
daemons. Starts and ends none.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

NAMES = ("ovs-vswitchd", "ovsdb-server")
_FOLDER = Path("/var/run/openvswitch")


@dataclass
class DaemonEnd:
    """A daemon that ended, and when another one of its name was there (None: none was)."""

    name: str
    ended_s: float
    back_s: float | None = None


class _Life(NamedTuple):
    """One life of a daemon: its process, if that is to be seen here, and its pid file, written anew for each."""

    process: int | None
    file: tuple[int, int]


class Daemons:
    """Watched from construction until `close`; `ends` is what was seen, `unwatched` those that were not found."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder
        self._lives: dict[str, _Life] = {}
        self._former: dict[str, tuple[int, int]] = {}  # the pid files of those that ended
        self.ends: list[DaemonEnd] = []
        for name in NAMES:
            self._find(name)
        self.unwatched = tuple(name for name in NAMES if name not in self._lives)

    def look(self, now_s: float) -> None:
        """Take note of those that ended, and of those that are back."""
        for name, life in list(self._lives.items()):
            if self._is_over(name, life):
                self._forget(name)
                self._former[name] = life.file
                self.ends.append(DaemonEnd(name, now_s))
        for end in self.ends:
            if end.back_s is None and (end.name in self._lives or self._find(end.name)):
                end.back_s = now_s

    def close(self) -> None:
        """Watch no longer; safe to call twice."""
        for name in list(self._lives):
            self._forget(name)

    def _find(self, name: str) -> bool:
        """Take a daemon that runs for the one to watch; return whether there is one."""
        file = self._file(name)
        if file is None or file == self._former.get(name):
            return False
        self._lives[name] = _Life(_process(self._folder / f"{name}.pid", name), file)
        return True

    def _forget(self, name: str) -> None:
        life = self._lives.pop(name)
        if life.process is not None:
            os.close(life.process)

    def _is_over(self, name: str, life: _Life) -> bool:
        return self._file(name) != life.file if life.process is None else _has_ended(life.process)

    def _file(self, name: str) -> tuple[int, int] | None:
        try:
            status = (self._folder / f"{name}.pid").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def _process(pid_file: Path, name: str) -> int | None:
    """Return a descriptor of the process that a file names, if it is here and has that name."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        descriptor = os.pidfd_open(pid)
        if Path(f"/proc/{pid}/comm").read_text().strip() == name:
            return descriptor
        os.close(descriptor)
    return None


def _has_ended(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))
