"""Containers of functions that a killed cluster left: ended with their first process, as the kernel does it.

Owns how such a process is proved to be a container's: its cluster's folder names it, and its environment has the run's
tag, which nothing else on this machine has by chance. They are in PID namespaces of their own, where `tagged_processes`
leaves everything alone.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from testbed.emulation.run_owner import start_ticks
from testbed.emulation.run_tag import ENVIRONMENT_KEY, RunTag
from testbed.emulation.tagged_processes import Process, signal_and_wait

_END_WITHIN_S = 5.0


@dataclass
class Ended:
    """How many containers were ended, and those that could not be."""

    ended: int = 0
    problems: list[str] = field(default_factory=list)


def end(tag: RunTag, register: Path) -> Ended:
    """End the containers of a run."""
    found = list(_containers(tag, register))
    stubborn = signal_and_wait(found, signal.SIGKILL, timeout_s=_END_WITHIN_S)
    problems = [f"process {item.pid} of a container of run {tag} cannot be killed" for item in stubborn]
    return Ended(len(found) - len(stubborn), problems)


def _containers(tag: RunTag, register: Path) -> Iterator[Process]:
    folder = register / f"{tag}.containers"
    for path in (*folder.glob("*/pid"), *folder.glob("*/*/pid")):  # of one cluster alone, and of those of a run
        try:
            pid = int(path.read_text())
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        ticks = start_ticks(pid)
        if ticks is not None and f"{ENVIRONMENT_KEY}={tag}".encode() in environment:
            yield Process(pid, ticks)
