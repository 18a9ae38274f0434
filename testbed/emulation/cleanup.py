"""Remove what runs left on the machine, and nothing else.

Owns the order of removal, and the rule: without proof that a run's owner is dead, nothing of it is removed. Several
may clean at once, in several containers: what somebody else has removed meanwhile is no error. The network's own `stop`
uses `clean_run`, too.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed.emulation import containers, run_tag, temporary_folders
from testbed.emulation import remains as remains_of_runs
from testbed.emulation import tagged_processes as processes
from testbed.emulation.remains import Remains, tagged_interfaces
from testbed.emulation.run_owner import Life, RunOwner
from testbed.emulation.run_tag import REGISTER, RunTag
from testbed.emulation.switches import bridges, ct_zones, switch_sockets
from testbed.emulation.tagged_processes import Process

_OWNER_GRACE_S = 30.0  # a live owner that is asked to end takes its own network down first
GRACE_S = 3.0  # docs/processes.md promises an orderly end within this time

Progress = Callable[[str], None]


@dataclass
class CleanReport:
    """What was removed, by kind.

    `left`: one line for each run that stays because nothing proves that it is over; `problems`: for each thing that
    could not be removed.
    """

    runs: list[str] = field(default_factory=list)
    processes: int = 0
    bridges: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.runs:
            return "nothing to clean"
        counts = (
            (self.processes, "process", "processes"),
            (len(self.bridges), "bridge", "bridges"),
            (len(self.interfaces), "interface", "interfaces"),
            (len(self.cgroups), "control group", "control groups"),
        )
        removed = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)
        return f"removed run {', '.join(self.runs)}: {removed or 'its registration'}"


def clean(
    only_dead: bool = True,
    progress: Progress | None = None,
    *,
    tags: Collection[RunTag] | None = None,
    register: Path = REGISTER,
) -> CleanReport:
    """Remove the remains of runs whose owner is dead; with `only_dead=False` of all runs.

    `tags` restricts that to certain runs. A live owner is asked to end first, which makes it clean up after
    itself; this process and its ancestors are never ended.
    """
    report = CleanReport()
    found = remains_of_runs.find(report.problems, register=register)
    run_tag.remove_partial_files(register)
    for remains in found:
        life = remains.life
        if (tags is not None and remains.tag not in tags) or (life is Life.ALIVE and only_dead):
            continue
        if life is Life.UNKNOWN and only_dead:
            report.left.append(f"{described(remains)}: nothing here proves that it is over, so it stays")
            continue
        if progress:
            progress(f"removing what is left of run {remains.tag}")
        if life is Life.ALIVE and remains.owner is not None:
            _end_owner(remains.tag, remains.owner, report)
        _remove(remains, report, register=register)
    switch_sockets.put_back_default()
    temporary_folders.remove_abandoned()
    return report


def perhaps_alive(*, register: Path = REGISTER) -> list[str]:
    """Return a line for each run that is alive, or may be for all that can be seen from here."""
    found = remains_of_runs.find([], register=register)
    return [
        f"{described(item)}: {'going on' if item.life is Life.ALIVE else 'perhaps going on'}"
        for item in found
        if item.life is not Life.DEAD
    ]


def clean_run(tag: RunTag, *, register: Path = REGISTER) -> CleanReport:
    """Remove everything of one run of this very process."""
    report = CleanReport()
    own = RunOwner.this_process()
    found = remains_of_runs.find(report.problems, register=register)
    mine = [item for item in found if item.tag == tag and item.owner == own]
    for remains in mine or [Remains(tag, own)]:
        _remove(remains, report, register=register)
    return report


def described(remains: Remains) -> str:
    """Return what a reader recognises a run by."""
    what = f"run {remains.tag}"
    if remains.registration is not None:
        what += f" ({remains.registration.scenario})"
    owner = remains.owner
    if owner is None:
        return f"{what} of an unknown owner"
    where = "" if owner.is_in_this_pid_namespace else f" of another container (PID namespace {owner.pid_namespace})"
    return f"{what} of process {owner.pid}{where}"


def _remove(remains: Remains, report: CleanReport, *, register: Path) -> None:
    # Processes first, they use the rest; the registration last, so that an interrupted clean-up can be repeated.
    tag = remains.tag
    report.processes += _end_processes(remains, report)
    try:
        bridges.delete_bridges(remains.bridges)
        report.bridges += remains.bridges
        ct_zones.remove(remains.zones)
    except bridges.BridgeError as error:
        report.problems.append(f"bridges of run {tag} stay: {error}")
    left = containers.end(tag, register)
    report.processes += left.ended
    report.problems += left.problems
    if remains.interfaces:
        report.interfaces += _delete_interfaces(tag, report)
    for cgroup in remains.cgroups:
        _remove_cgroup(cgroup, report)
    is_registered = remains.registration is not None or (remains.is_empty and remains.owner is None)
    if not report.problems and (is_registered or remains.owner == RunOwner.this_process()):
        run_tag.release(tag, register=register)
    report.runs.append(tag.value)


def _end_processes(remains: Remains, report: CleanReport) -> int:
    ended: set[int] = set()
    pending = list(remains.processes)
    while pending:
        survivors = processes.end(pending, grace_s=GRACE_S)
        for process in survivors:
            report.problems.append(
                f"process {process.pid} ({' '.join(process.command)[:60]}) of run {remains.tag} cannot be killed"
            )
        ended |= {process.pid for process in pending}
        # What they started while they were being ended.
        now = [] if survivors else processes.tagged_processes().get(remains.tag, [])
        pending = [process for process in now if process.owner == pending[0].owner]
    return len(ended)


def _end_owner(tag: RunTag, owner: RunOwner, report: CleanReport) -> None:
    if not owner.is_in_this_pid_namespace or owner.pid in processes.ancestors():
        return
    ended = [Process(owner.pid, owner.start_ticks)]
    ended = processes.signal_and_wait(ended, signal.SIGTERM, timeout_s=_OWNER_GRACE_S)
    for process in processes.signal_and_wait(ended, signal.SIGKILL, timeout_s=5.0):
        report.problems.append(f"process {process.pid}, which owns run {tag}, cannot be killed")


def _delete_interfaces(tag: RunTag, report: CleanReport) -> list[str]:
    names = tagged_interfaces().get(tag, [])
    if not names:
        return []
    batch = "".join(f"link delete dev {name}\n" for name in names)
    # `-force` goes on past interfaces that vanish meanwhile with their namespace or with the relay.
    subprocess.run(
        ["ip", "-force", "-batch", "-"],
        input=batch,
        text=True,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    left = tagged_interfaces().get(tag, [])
    report.problems += [f"interface {name} of run {tag} cannot be deleted" for name in left]
    return [name for name in names if name not in left]


def _remove_cgroup(cgroup: Path, report: CleanReport) -> None:
    try:
        for directory, _, _ in os.walk(cgroup, topdown=False):
            with suppress(FileNotFoundError):  # somebody else cleans, too
                Path(directory).rmdir()
        report.cgroups.append(str(cgroup))
    except OSError as error:
        report.problems.append(f"control group {cgroup} cannot be removed: {error.strerror}")
