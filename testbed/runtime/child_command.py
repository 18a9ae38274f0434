"""A command line that somebody else wrote, as a child: started, watched, measured, ended with all that it started.

Owns the process group, the output file and the process tree. Stdlib only, for it serves processes inside namespaces.
Knows nothing of what the command is for. One command at a time: its owner takes in the orphans that it leaves
(`PR_SET_CHILD_SUBREAPER`), so that whatever detaches itself, as daemons do, is measured and ended like the rest.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from testbed.linux.cpu_priority import restore_priority
from testbed.runtime import caller
from testbed.runtime.event_loop import end_with_parent
from testbed.runtime.lifecycle import ProcessFailure

OUTPUT_FILE = "output.log"

_LIBC = ctypes.CDLL(None)
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02
_MOST_SAID_BYTES = 1 << 20
_TAIL_BYTES = 4096
_TAIL_LINES = 3
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Command:
    """`argv` in a session of its own, in `folder`, which takes its output. Raises ProcessFailure if it cannot start.

    `enter` is called in the child before it becomes the command. `environment` is on top of that of whoever called the
    testbed.
    """

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        enter: Callable[[], None] | None = None,
    ) -> None:
        self._name = argv[0]
        self.output = folder / OUTPUT_FILE
        self._output = _opened(self.output)
        self._former_bytes = os.fstat(self._output).st_size  # of an earlier life

        def prepare() -> None:
            end_with_parent()
            restore_priority()
            if enter:
                enter()

        if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
            raise ProcessFailure(f"cannot watch what {self._name} starts: the kernel lacks CONFIG_PROC_CHILDREN")
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            self._popen = subprocess.Popen(
                argv, cwd=folder, env={**caller.environment(), **(environment or {})}, stdin=subprocess.DEVNULL,
                stdout=self._output, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=prepare,
            )  # fmt: skip
        except subprocess.SubprocessError as error:  # what `enter` raised stays in the child
            raise ProcessFailure(f"cannot start {self._name}: its limits cannot be set") from error
        except OSError as error:
            raise ProcessFailure(f"cannot start {self._name}: {error.strerror}; is it on PATH?") from error

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs. Collects orphans that have ended."""
        code = self._popen.poll()
        with suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid == self._popen.pid:
                    return self._popen.poll()
                os.waitpid(ended.si_pid, 0)
        return code

    async def wait(self, timeout_s: float) -> int | None:
        """Wait for its end; return the exit code, or None if it still runs then."""
        deadline_s = time.monotonic() + timeout_s
        while (code := self.poll()) is None and time.monotonic() < deadline_s:
            await asyncio.sleep(_POLL_S)
        return code

    def end(self, grace_s: float) -> int:
        """End all of it, by SIGTERM and after `grace_s` by SIGKILL; return the exit code when nothing is left.

        Blocks meanwhile, for a second signal to its owner must not cut it short.
        """
        if self.poll() is None:
            self._signal_group(signal.SIGTERM)
        deadline_s = time.monotonic() + grace_s
        while self._is_there() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        while self._is_there():  # what forks while it is killed is met in the next round
            self._signal_group(signal.SIGKILL)
            for pid in descendants(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
        return self._popen.wait()

    def cpu_s(self) -> float:
        """Return the CPU time that all of it has used, what has ended included."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + sum(map(_cpu_s, descendants(os.getpid())))

    def memory_bytes(self) -> int:
        """Return the resident memory of all of it; pages that processes share count for each."""
        return sum(map(_memory_bytes, descendants(os.getpid())))

    def said(self, most_bytes: int = _MOST_SAID_BYTES) -> str:
        """Return its output, the end of it if there is more."""
        size = os.fstat(self._output).st_size
        begin = max(self._former_bytes, size - most_bytes)
        return os.pread(self._output, max(0, size - begin), begin).decode("utf-8", errors="replace")

    def last_words(self) -> str:
        """Return the last lines of its output, in one."""
        lines = [line.strip() for line in self.said(_TAIL_BYTES).splitlines() if line.strip()]
        return " / ".join(lines[-_TAIL_LINES:]) or "it said nothing"

    def _is_there(self) -> bool:
        self.poll()
        return bool(descendants(os.getpid()))

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)


def _opened(path: Path) -> int:
    """Open the output of a command, whose folder may be somebody else's: a link or a pipe in its place is refused."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(path, flags, 0o644)
    except OSError as error:
        raise ProcessFailure(f"cannot write {path}: {error.strerror}") from error
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(opened)
        raise ProcessFailure(f"{path} is no file of its own")
    return opened


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"with code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def descendants(pid: int) -> list[int]:
    """Return the processes that descend from one and run, or have ended and not been waited for."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for task in _tasks(waiting.pop()):
            with suppress(OSError):
                children = [int(word) for word in (task / "children").read_text().split()]
                found += children
                waiting += children
    return found


def has_ended(pid: int) -> bool:
    """Return whether a process is no more, or waits to be waited for."""
    fields = _stat(pid)
    return not fields or fields[0] == "Z"


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:15])) / _TICKS_PER_S  # utime, stime, and those of its ended children


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; none if the process is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _memory_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
