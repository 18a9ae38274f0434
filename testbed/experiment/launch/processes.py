"""Start the processes of a run in their namespaces, wait until they serve, watch them, end them.

Owns their life and nothing of what they do. A process that dies while the run goes on ends the run, with
the last lines of its log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.emulation.network import EmulatedNetwork
from testbed.errors import TestbedError
from testbed.records.file_names import file_name
from testbed.records.parts import archive_parts
from testbed.runtime.child_command import descendants, has_ended
from testbed.runtime.document import ProcessConfig
from testbed.runtime.forked_process import ForkedProcess

_POLL_S = 0.05
_GRACE_S = 8.0


class RunError(TestbedError):
    """A run that cannot go on; one line that says what happened and where to look."""


@dataclass
class _Process:
    name: str
    child: ForkedProcess
    log_path: Path
    may_end: bool
    is_leaving: bool = False  # it was asked to end, in the middle of the run


class Processes:
    """The processes of one run. `folder` takes configurations, parts and ready files; `logs` their output.

    `look` is called again and again while processes are waited for.
    """

    def __init__(
        self, network: EmulatedNetwork, folder: Path, logs: Path, look: Callable[[], None] = lambda: None
    ) -> None:
        self._network = network
        self._folder = folder
        self._logs = logs
        self._look = look
        self._processes: dict[str, _Process] = {}
        self.started: set[str] = set()  # the names of all that ever ran

    def start(
        self,
        node: str | None,
        module: str,
        config: ProcessConfig,
        *,
        may_end: bool = False,
        pass_fds: Collection[int] = (),
    ) -> None:
        """Start `python -m module CONFIG` in a node's namespace. `may_end`: it ends by itself when done."""
        name = config.name
        config_path = self._folder / f"{file_name(name)}.json"
        config_path.write_text(json.dumps(config.to_document(), indent=1), encoding="utf-8")
        self._forget_former(name)
        log_path = self._logs / f"{file_name(name)}.log"
        child = self._network.start_module(
            node, module, [str(config_path)], name=name, log_path=log_path, pass_fds=pass_fds
        )
        self._processes[name] = _Process(name, child, log_path, may_end)
        self.started.add(name)

    def _forget_former(self, name: str) -> None:
        """Make way for a process of the same name: wait for one that is leaving, keep what it wrote."""
        (self._folder / f"{file_name(name)}.ready").unlink(missing_ok=True)
        former = self._processes.pop(name, None)
        if former is None:
            return
        if not former.is_leaving:
            raise RunError(f"{name} runs already")
        code = _wait_or_kill(former, time.monotonic() + _GRACE_S)
        if code != 0:
            raise RunError(f"{name} ended with code {code}: {_last_line(name, former.log_path)}")
        archive_parts(self._folder, name)

    def wait_ready(self, names: Collection[str], timeout_s: float) -> None:
        """Wait until each has made its ready file. Raises RunError naming who did not."""
        waiting = set(names)

        def all_ready() -> bool:
            waiting.difference_update(
                {name for name in waiting if (self._folder / f"{file_name(name)}.ready").exists()}
            )
            return not waiting

        if not self.wait_until(all_ready, timeout_s):
            late = sorted(waiting)[0]
            raise RunError(f"{late} was not ready after {timeout_s:g} s; see {self._processes[late].log_path}")

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Poll a condition, watching the processes meanwhile. Returns whether it came true in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.check()
            self._look()
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def check(self) -> None:
        """Raise RunError if a process has died that should live, or failed."""
        for process in self._processes.values():
            code = process.child.poll()
            if code is not None and (code != 0 or not process.may_end):
                raise RunError(f"{process.name} ended with code {code}: {_last_line(process.name, process.log_path)}")

    def have_ended(self, names: Collection[str]) -> bool:
        """Return whether all of these have ended."""
        return all(self._processes[name].child.poll() is not None for name in names)

    def end(self, names: Collection[str]) -> list[str]:
        """Ask processes to end and wait; return the names of those that had to be killed or failed."""
        chosen = [self._processes.pop(name) for name in names if name in self._processes]
        for process in chosen:
            if process.child.poll() is None:
                process.child.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + _GRACE_S
        unclean = []
        for process in chosen:
            code = _wait_or_kill(process, deadline_s)
            if code != 0:
                unclean.append(f"{process.name} (code {code}; {process.log_path})")
        return unclean

    def is_running(self, name: str) -> bool:
        """Return whether a process runs and was not asked to end."""
        process = self._processes.get(name)
        return process is not None and not process.is_leaving and process.child.poll() is None

    def kill(self, name: str) -> None:
        """Kill a process on purpose; what it wrote so far is kept, and `start` may start it again."""
        process = self._processes.pop(name)
        _kill_with_children(process.child)
        archive_parts(self._folder, name)

    def stop(self, name: str) -> None:
        """Ask a process to end in the middle of the run, and do not wait for it; `start` may start it again."""
        process = self._processes[name]
        process.may_end = process.is_leaving = True
        process.child.send_signal(signal.SIGTERM)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a process a signal, if it runs."""
        process = self._processes.get(name)
        if process is not None and process.child.poll() is None:
            process.child.send_signal(number)

    def pid(self, name: str) -> int:
        """Return the process id of one that runs."""
        return self._processes[name].child.pid

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of those that run, by prefix."""
        return [name for name in self._processes if name.startswith(prefix)]


def _kill_with_children(child: ForkedProcess) -> None:
    """Kill a process and all that descends from it; halted first, it cannot report what happens to them."""
    child.send_signal(signal.SIGSTOP)
    deadline_s = time.monotonic() + _GRACE_S
    while (children := descendants(child.pid)) and time.monotonic() < deadline_s:
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if all(map(has_ended, children)):
            break
        time.sleep(_POLL_S)
    child.kill()
    child.wait()


def _wait_or_kill(process: _Process, deadline_s: float) -> int:
    try:
        return process.child.wait(max(0.1, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.child.kill()
        return process.child.wait()


def _last_line(name: str, log_path: Path) -> str:
    """Return the last words of a process, which may begin with its name."""
    lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log_path.exists() else []
    return f"{lines[-1].removeprefix(f'{name}: ')} (all of it in {log_path})" if lines else f"nothing in {log_path}"
