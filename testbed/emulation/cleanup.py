"""Remove what runs left on the machine, and nothing else.

Owns the search for remains and the order of their removal. A thing belongs to a run only by the run's tag: in
the environment of a process, in `external_ids` of a bridge, in the name of an interface or control group, in the
register. Whatever carries no tag is never touched. The network's own `stop` uses `clean_run`, too.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from testbed.emulation import run_tag
from testbed.emulation import tagged_processes as processes
from testbed.emulation.run_tag import REGISTER, Registration, RunTag
from testbed.emulation.switches import bridges, ct_zones
from testbed.emulation.switches.ct_zones import Zone
from testbed.emulation.tagged_processes import Process

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWNER_GRACE_S = 30.0  # a live owner that is asked to end takes its own network down first
GRACE_S = 3.0  # docs/processes.md promises an orderly end within this time

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Remains:
    """What one run has on the machine."""

    processes: tuple[Process, ...] = ()
    bridges: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()
    interfaces: tuple[str, ...] = ()
    cgroups: tuple[Path, ...] = ()


@dataclass
class CleanReport:
    """What was removed, by kind; `problems`: one line for each thing that could not be."""

    runs: list[str] = field(default_factory=list)
    processes: int = 0
    bridges: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
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
    """Remove the remains of runs whose owner is dead; with `only_dead=False` of live runs, too.

    `tags` restricts that to certain runs. A live owner is asked to end first, which makes it clean up after
    itself; this process and its ancestors are never ended.
    """
    report = CleanReport()
    # The remains first, the register second: a run that starts in between has its registration already
    # when its first remains appear, so it is never taken for a dead one.
    remains = find_remains(report.problems, register=register)
    registered = run_tag.registrations(register)
    run_tag.remove_partial_files(register)
    for tag in sorted({*remains, *registered}):
        registration = registered.get(tag)
        alive = registration is not None and registration.owner_is_alive
        if (tags is not None and tag not in tags) or (alive and only_dead):
            continue
        if progress:
            progress(f"removing what is left of run {tag}")
        if alive and registration is not None:
            _end_owner(registration, report)
        _remove(tag, remains.get(tag, Remains()), report, register=register)
    return report


def clean_run(tag: RunTag, *, register: Path = REGISTER) -> CleanReport:
    """Remove everything of one run of this very process."""
    report = CleanReport()
    _remove(tag, find_remains(report.problems, register=register).get(tag, Remains()), report, register=register)
    return report


def find_remains(problems: list[str], *, register: Path = REGISTER) -> dict[RunTag, Remains]:
    """Return what each run has on the machine; append to `problems` what could not be looked at."""
    running = processes.tagged_processes()
    try:
        switching, tracked = bridges.tagged_bridges(), ct_zones.tagged_zones()
    except bridges.BridgeError as error:
        # Without Open vSwitch there can be no bridge in service; only those that runs registered are worth a word.
        switching, tracked = {}, {}
        if any(registration and registration.bridges for registration in run_tag.registrations(register).values()):
            problems.append(f"bridges not looked at: {error}")
    interfaces = _tagged_interfaces(exclude={name for names in switching.values() for name in names})
    cgroups = _tagged_cgroups()
    return {
        tag: Remains(
            tuple(running.get(tag, ())),
            tuple(switching.get(tag, ())),
            tuple(tracked.get(tag, ())),
            tuple(interfaces.get(tag, ())),
            tuple(cgroups.get(tag, ())),
        )
        for tag in {*running, *switching, *tracked, *interfaces, *cgroups}
    }


def _remove(tag: RunTag, remains: Remains, report: CleanReport, *, register: Path) -> None:
    # Processes first, they use the rest; the registration last, so that an interrupted clean-up can be repeated.
    report.processes += _end_processes(tag, remains.processes, report)
    try:
        bridges.delete_bridges(remains.bridges)
        report.bridges += remains.bridges
        ct_zones.remove(remains.zones)
    except bridges.BridgeError as error:
        report.problems.append(f"bridges of run {tag} stay: {error}")
    report.interfaces += _delete_interfaces(tag, report)
    for cgroup in remains.cgroups:
        _remove_cgroup(cgroup, report)
    if not report.problems:
        run_tag.release(tag, register=register)
    report.runs.append(tag.value)


def _end_processes(tag: RunTag, found: Iterable[Process], report: CleanReport) -> int:
    ended: set[int] = set()
    pending = list(found)
    while pending:
        survivors = processes.end(pending, grace_s=GRACE_S)
        for process in survivors:
            report.problems.append(
                f"process {process.pid} ({' '.join(process.command)[:60]}) of run {tag} cannot be killed"
            )
        ended |= {process.pid for process in pending}
        # What they started while they were being ended.
        pending = [] if survivors else processes.tagged_processes().get(tag, [])
    return len(ended)


def _end_owner(registration: Registration, report: CleanReport) -> None:
    if registration.pid in processes.ancestors():
        return
    owner = [Process(registration.pid, registration.start_ticks)]
    owner = processes.signal_and_wait(owner, signal.SIGTERM, timeout_s=_OWNER_GRACE_S)
    for process in processes.signal_and_wait(owner, signal.SIGKILL, timeout_s=5.0):
        report.problems.append(f"process {process.pid}, which owns run {registration.tag}, cannot be killed")


def _tagged_interfaces(exclude: Collection[str] = ()) -> dict[RunTag, list[str]]:
    found: dict[RunTag, list[str]] = {}
    for _, name in socket.if_nameindex():
        tag = RunTag.of_interface(name)
        if tag is not None and name not in exclude:
            found.setdefault(tag, []).append(name)
    return found


def _delete_interfaces(tag: RunTag, report: CleanReport) -> list[str]:
    names = _tagged_interfaces().get(tag, [])
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
    left = _tagged_interfaces().get(tag, [])
    report.problems += [f"interface {name} of run {tag} cannot be deleted" for name in left]
    return [name for name in names if name not in left]


def _tagged_cgroups() -> dict[RunTag, list[Path]]:
    # Version 2 has one hierarchy at the root, version 1 one below each controller's name.
    found: dict[RunTag, list[Path]] = {}
    for pattern in ("dyncast-????", "*/dyncast-????"):
        for path in _CGROUP_ROOT.glob(pattern):
            tag = RunTag.parse(path.name.removeprefix("dyncast-"))
            if tag is not None and not path.is_symlink():
                found.setdefault(tag, []).append(path)
    return found


def _remove_cgroup(cgroup: Path, report: CleanReport) -> None:
    try:
        for directory, _, _ in os.walk(cgroup, topdown=False):
            Path(directory).rmdir()
        report.cgroups.append(str(cgroup))
    except OSError as error:
        report.problems.append(f"control group {cgroup} cannot be removed: {error.strerror}")
