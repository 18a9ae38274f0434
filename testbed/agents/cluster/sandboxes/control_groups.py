"""Limits of containers by control groups, version 1 or 2: memory, CPU time, processes.

Owns `dyncast-<tag>/<container>` in each hierarchy that has a controller. A process enters its group before it becomes
the sandbox, so all that it starts is in it. What this machine cannot limit is named, and does without.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PERIOD_US = 100_000
_OWNER_ATTRIBUTE = "trusted.dyncast-run-owner"  # of the run's group; testbed.emulation.remains reads it
_REMOVE_WITHIN_S = 2.0
PROCESSES = 512  # of a container
_OPTIONAL = ("memory.swap.max", "memory.oom.group")  # kernels without swap, or old ones
CONTROLLERS = ("memory", "cpu", "pids")


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy, and those controllers in it that serve here."""

    root: Path
    is_v2: bool
    controllers: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What a container may use."""

    memory_mb: int
    cpus: float
    processes: int = PROCESSES


class ControlGroups:
    """The groups of one cluster, in the group of its run."""

    def __init__(self, group: str, owner: str = "") -> None:
        self._group = group
        self._hierarchies: list[Hierarchy] = []
        for found in hierarchies(Path("/proc/mounts").read_text().splitlines()):
            with suppress(OSError):
                self._hierarchies.append(_prepared(found, group, owner))

    @staticmethod
    def available() -> tuple[str, ...]:
        """Return what this machine has controllers for."""
        found = hierarchies(Path("/proc/mounts").read_text().splitlines())
        return tuple(name for item in found for name in item.controllers)

    @property
    def limited(self) -> tuple[str, ...]:
        """What can be limited here."""
        return tuple(name for name in CONTROLLERS if any(name in item.controllers for item in self._hierarchies))

    def make(self, name: str, limits: Limits) -> list[Path]:
        """Make the groups of a container; return the files that a process enters them by."""
        entered = []
        for hierarchy in self._hierarchies:
            folder = hierarchy.root / self._group / name
            folder.mkdir(parents=True, exist_ok=True)
            for file, value in _settings(hierarchy, limits):
                if file not in _OPTIONAL or (folder / file).exists():
                    (folder / file).write_text(value)
            entered.append(folder / "cgroup.procs")
        return entered

    def has_killed(self, name: str) -> bool:
        """Return whether the kernel has killed a process of a container for its memory."""
        return any(_kills(item.root / self._group / name) for item in self._hierarchies if "memory" in item.controllers)

    def remove(self, name: str) -> None:
        """Remove the groups of a container, and end whatever is still in them. Blocks for milliseconds, if at all."""
        remove_everywhere(f"{self._group}/{name}")

    def close(self) -> None:
        """Remove the groups of the cluster, if it is the last one of its run."""
        for root in _roots():
            with suppress(OSError):
                (root / self._group).rmdir()


def hierarchies(mounts: Iterable[str]) -> list[Hierarchy]:
    """Return the hierarchies that have controllers of use, by lines of /proc/mounts; each controller once."""
    found: list[Hierarchy] = []
    taken: set[str] = set()
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 4 or fields[2] not in ("cgroup", "cgroup2"):
            continue
        point, is_v2 = Path(fields[1].replace("\\040", " ")), fields[2] == "cgroup2"
        if not (point / "cgroup.procs").exists():  # hidden below another mount, or out of reach
            continue
        offered = _words(point / "cgroup.controllers") if is_v2 else fields[3].split(",")
        useful = tuple(name for name in CONTROLLERS if name in offered and name not in taken)
        if useful:
            taken.update(useful)
            found.append(Hierarchy(point, is_v2, useful))
    return found


def remove_everywhere(group: str) -> None:
    """Remove a group in all hierarchies: runc makes one in each, whatever it is asked for."""
    for root in _roots():
        remove(root / group)


def remove(folder: Path) -> None:
    """Remove one group. Whatever is in it is killed: it lasts until the kernel has taken it away."""
    until_s = time.monotonic() + _REMOVE_WITHIN_S
    while folder.exists():
        with suppress(OSError):
            folder.rmdir()
            return
        for word in _words(folder / "cgroup.procs"):
            with suppress(OSError, ValueError):
                if int(word) > 0:
                    os.kill(int(word), signal.SIGKILL)
        if time.monotonic() > until_s:
            return
        time.sleep(0.001)


def _prepared(found: Hierarchy, group: str, owner: str) -> Hierarchy:
    """Make the group of the run; return the hierarchy with the controllers that serve in it."""
    folder = found.root / group
    if found.is_v2:
        _enable(found.root, found.controllers)
    folder.mkdir(exist_ok=True)
    with suppress(OSError):
        os.setxattr(folder, _OWNER_ATTRIBUTE, owner.encode())
    if not found.is_v2:
        return found
    _enable(folder, found.controllers)
    enabled = _words(folder / "cgroup.subtree_control")
    return Hierarchy(found.root, True, tuple(name for name in found.controllers if name in enabled))


def _roots() -> list[Path]:
    lines = (line.split(" ") for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(fields[1].replace("\\040", " ")) for fields in lines if fields[2] in ("cgroup", "cgroup2")]


def _enable(folder: Path, controllers: Iterable[str]) -> None:
    present = _words(folder / "cgroup.subtree_control")
    for name in controllers:
        if name not in present:
            (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _settings(hierarchy: Hierarchy, limits: Limits) -> list[tuple[str, str]]:
    memory, quota = str(limits.memory_mb << 20), str(max(1000, round(limits.cpus * _PERIOD_US)))
    v1 = {
        "memory": [("memory.limit_in_bytes", memory)],
        "cpu": [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", quota)],
        "pids": [("pids.max", str(limits.processes))],
    }
    v2 = {
        "memory": [("memory.max", memory), ("memory.swap.max", "0"), ("memory.oom.group", "1")],
        "cpu": [("cpu.max", f"{quota} {_PERIOD_US}")],
        "pids": [("pids.max", str(limits.processes))],
    }
    by_controller = v2 if hierarchy.is_v2 else v1
    return [item for name in hierarchy.controllers for item in by_controller[name]]


def _kills(folder: Path) -> bool:
    for file in ("memory.events", "memory.oom_control"):
        words = _words(folder / file)
        counts = dict(zip(words[::2], words[1::2], strict=False))
        if int(counts.get("oom_kill", "0")) > 0:
            return True
    return False


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
