"""CPU time of processes with all their descendants, as `/proc` counts it.

What a process has waited for counts with it; one that ended unwaited between two looks does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_UTIME = 11  # of the fields after the name: utime, stime, and those of children that were waited for
_PROC = Path("/proc")


class TreeUse:
    """CPU time that trees of processes used between two looks; each is known by the pid of its root."""

    def __init__(self) -> None:
        self._used_s: dict[int, float] = {}

    def used_s(self, roots: Iterable[int]) -> float:
        """Return the CPU seconds since the last look; a tree that was not there then began after it."""
        now_s = {root: cpu_s(root) for root in roots}
        grown_s = sum(max(0.0, used_s - self._used_s.get(root, 0.0)) for root, used_s in now_s.items())
        self._used_s = now_s
        return grown_s


def cpu_s(root: int) -> float:
    """Return the CPU seconds of a process and all its descendants; none of one that is gone."""
    waiting, ticks = [root], 0
    while waiting:
        pid = waiting.pop()
        ticks += _ticks(pid)
        waiting += _children(pid)
    return ticks / _TICKS_PER_S


def _ticks(pid: int) -> int:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()  # a name may hold anything
    return sum(map(int, fields[_UTIME : _UTIME + 4]))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for children in (_PROC / str(pid) / "task").glob("*/children"):
            found += map(int, children.read_text().split())
    except OSError:  # it is gone
        pass
    return found
