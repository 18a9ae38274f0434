"""How many processes and files this machine lets a run have, by what, and what raises it. Changes nothing."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError

LEAST_PROCESSES, LEAST_FILES = 200, 1024  # that the smallest run takes, with room
# Of each node: a shell in its namespace, a process of the testbed, and threads of either.
_PROCESSES_PER_NODE, _FILES_PER_NODE = 4, 8
_PROCESSES_OF_A_RUN, _FILES_OF_A_RUN = 100, 200

_KERNEL = Path("/proc/sys/kernel")
_GROUPS = Path("/sys/fs/cgroup")
_IN_A_CONTAINER = "in a container: docker run --pids-limit=-1; a unit of systemd: TasksMax=infinity"


class LimitError(TestbedError):
    """A run would not get as many processes or files as it takes; one line with the limit, and what raises it."""


@dataclass(frozen=True)
class Limit:
    """How many more of `what` this machine lets a run have; `by`: what sets the limit, `remedy`: what raises it."""

    what: str
    left: int
    by: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.left} more {self.what} by {self.by}"


def processes() -> Limit:
    """Return the closest limit of processes and threads."""
    return min(_process_limits(), key=lambda limit: limit.left)


def files() -> Limit:
    """Return the limit of files that a process may have open; each process of a run takes what it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = most == resource.RLIM_INFINITY
    remedy = "ulimit -Hn 65536 before; in a container: docker run --ulimit nofile=65536"
    return Limit("open files", 1 << 30 if unlimited else most, "ulimit -Hn", remedy)


def check(nodes: int) -> None:
    """Raise LimitError if a network of so many nodes would meet a limit half-way."""
    for wanted, limit in (
        (_PROCESSES_OF_A_RUN + _PROCESSES_PER_NODE * nodes, processes()),
        (_FILES_OF_A_RUN + _FILES_PER_NODE * nodes, files()),
    ):
        if limit.left < wanted:
            raise LimitError(
                f"a network of {nodes} nodes takes about {wanted} {limit.what}, and there may be {limit}; raise it: "
                f"{limit.remedy}"
            )


def _process_limits() -> Iterator[Limit]:
    tasks = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    for name in ("threads-max", "pid_max"):
        most = int((_KERNEL / name).read_text())
        yield Limit("processes and threads", most - tasks, f"kernel.{name}", f"sysctl -w kernel.{name}=200000")
    for folder in _groups():
        try:
            most_text, now = (folder / "pids.max").read_text().strip(), int((folder / "pids.current").read_text())
        except (OSError, ValueError):  # a group without the controller
            continue
        if most_text.isdigit():
            by = f"pids.max of the control group {folder}"
            yield Limit("processes and threads", int(most_text) - now, by, _IN_A_CONTAINER)


def _groups() -> Iterator[Path]:
    """Return the control groups that count this process, from its own up."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "pids" not in controllers.split(","):
            continue
        for root in (_GROUPS / "pids",) if controllers else (_GROUPS, _GROUPS / "unified"):
            own = root / path.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))
