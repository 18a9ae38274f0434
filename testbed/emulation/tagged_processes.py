"""The processes of a run: find them by their tag, end them by identity.

Owns the walk through /proc and the signals. Processes are held by pidfd, so that a signal can never
reach a stranger that has a reused process id. Knows nothing of networks or bridges.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed.emulation.run_owner import RunOwner, start_ticks
from testbed.emulation.run_tag import ENVIRONMENT_KEY, OWNER_KEY, RunTag

_NODE_SHELL = "mininet:"
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of the kernel, among the flags of a process
_LOOKS, _NEXT_LOOK_S = 100, 0.001  # at a process that becomes another program, which takes it a fraction of that


@dataclass(frozen=True)
class Process:
    """A process, identified by id and start time (clock ticks since boot).

    `command` is what it was when it was looked at, which another program may have taken over; `owner` that of its run.
    """

    pid: int
    start_ticks: int
    command: tuple[str, ...] = field(default=(), compare=False)
    owner: RunOwner | None = field(default=None, compare=False)

    @property
    def is_node_shell(self) -> bool:
        """Return whether this is the shell that holds a Mininet node's namespace open."""
        return bool(self.command) and self.command[-1].startswith(_NODE_SHELL)


def tagged_processes() -> dict[RunTag, list[Process]]:
    """Return the processes of every run on this machine, without this process and its ancestors.

    Those of containers are left alone: they have process ids of their own.
    """
    here = _pid_namespace(Path("/proc/self"))
    spared = ancestors()
    found: dict[RunTag, list[Process]] = {}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or int(path.name) in spared:
            continue
        try:
            environment = _environment(path)
            if ENVIRONMENT_KEY.encode() not in environment or _pid_namespace(path) != here:
                continue
            command = (path / "cmdline").read_bytes()
        except OSError:  # ended meanwhile, or not ours to read
            continue
        tag = RunTag.parse(_variable(environment, ENVIRONMENT_KEY))
        ticks = start_ticks(int(path.name))
        if tag is not None and ticks is not None:
            words = command.rstrip(b"\0").decode(errors="replace").split("\0")
            owner = RunOwner.parse(_variable(environment, OWNER_KEY))
            found.setdefault(tag, []).append(Process(int(path.name), ticks, tuple(words), owner))
    return found


def _environment(process: Path) -> bytes:
    """Return the environment of a process; one that becomes another program meanwhile shows none for a moment."""
    for _ in range(_LOOKS):
        environment = (process / "environ").read_bytes()
        if environment or _has_none(process):
            return environment
        time.sleep(_NEXT_LOOK_S)
    return b""


def _has_none(process: Path) -> bool:
    """Say whether a process has no environment: it is the kernel's, has ended, or was started with an empty one."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    state, flags, code, begin, end = fields[0], int(fields[6]), int(fields[23]), *map(int, fields[47:49])
    # The kernel sets the beginning of the code after the environment; until then the bounds of that may be equal.
    return bool(flags & _KERNEL_THREAD) or state in ("Z", "X") or (code != 0 and begin == end != 0)


def _variable(environment: bytes, name: str) -> str:
    key = f"{name}=".encode()
    value = next((item[len(key) :] for item in environment.split(b"\0") if item.startswith(key)), b"")
    return value.decode(errors="replace")


def _pid_namespace(process: Path) -> str:
    return str((process / "ns" / "pid").readlink())


def ancestors() -> set[int]:
    """Return the ids of this process and of all it descends from."""
    pid = os.getpid()
    line = {pid}
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            break
        line.add(pid)
    return line


def end(processes: Iterable[Process], *, grace_s: float) -> list[Process]:
    """Ask processes to end (SIGTERM), kill the rest after `grace_s` seconds; return those that outlived even that.

    Shells of Mininet nodes are killed at once, after the others: interactive shells ignore SIGTERM, and they
    hold the namespaces that the others may still need for an orderly end.
    """
    shells: list[Process] = []
    others: list[Process] = []
    for process in processes:
        (shells if process.is_node_shell else others).append(process)
    stubborn = signal_and_wait(others, signal.SIGTERM, timeout_s=grace_s)
    return signal_and_wait([*stubborn, *shells], signal.SIGKILL, timeout_s=5.0)


def signal_and_wait(processes: Collection[Process], number: signal.Signals, *, timeout_s: float) -> list[Process]:
    """Send one signal to all, wait up to `timeout_s` for their end; return those still there."""
    waiting: dict[int, Process] = {}
    poll = select.poll()
    try:
        for process in processes:
            descriptor = _open(process)
            if descriptor is None:
                continue
            waiting[descriptor] = process
            poll.register(descriptor, select.POLLIN)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
        deadline_s = time.monotonic() + timeout_s
        while waiting and (left_s := deadline_s - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left_s * 1000):
                poll.unregister(descriptor)
                os.close(descriptor)
                del waiting[descriptor]
        return list(waiting.values())
    finally:
        for descriptor in waiting:
            os.close(descriptor)


def _open(process: Process) -> int | None:
    # The id may belong to another process since it was read: hold it first, then compare.
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return None
    if start_ticks(process.pid) != process.start_ticks:
        os.close(descriptor)
        return None
    return descriptor
