"""Processes forked from a warm parent (`fork_server`), for the one who starts them: a `subprocess.Popen` in small.

Owns the parent's life, the asking, and the waiting. A process starts in a few milliseconds and shares the memory of
what it imports with its siblings. Knows nothing of what the modules do, nor whose namespaces they run in.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError
from testbed.runtime.caller import python_module
from testbed.runtime.fork_server import Order

_LIBC = ctypes.CDLL(None)
_PR_SET_CHILD_SUBREAPER = 36
_ROOM_FOR_TITLES = " " * 4096  # an argument that is never read: a process can show no longer command line than it has


class ForkError(TestbedError, OSError):
    """No process can be forked, in one line."""


class ForkedProcess:
    """A child of this process; `returncode` is negative for a signal."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        with self._lock:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code. Raises subprocess.TimeoutExpired."""
        if self.poll() is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                if not select.select([descriptor], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            finally:
                os.close(descriptor)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A warm parent, started when it is first needed and again if it has died.

    `environment` is that of all its processes; `log_path` takes what it says itself.
    """

    def __init__(self, environment: Mapping[str, str], log_path: Path) -> None:
        self._environment = environment
        self._log_path = log_path
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def warm_up(self, module: str) -> None:
        """Have a module imported that will be needed; does not wait."""
        with self._lock:
            self._asked(Order(module), [])

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        log: int,
        *,
        namespace: int | None = None,
        pass_fds: Collection[int] = (),
    ) -> ForkedProcess:
        """Start `python -m module ARGUMENTS` in a session of its own; output goes to the descriptor `log`.

        `namespace` is a descriptor of the network namespace that it is to live in. Raises ForkError.
        """
        order = Order(module, tuple(arguments), os.getpid(), namespace is not None, tuple(pass_fds))
        descriptors = [log, *([] if namespace is None else [namespace]), *pass_fds]
        with self._lock, _adopting():
            requests = self._asked(order, descriptors)
            answer = requests.recv(32)
        if not answer:
            raise ForkError(f"no process for {module}: its parent has died; see {self._log_path}")
        return ForkedProcess(int(answer))

    def close(self) -> None:
        """End the parent; its processes live on."""
        with self._lock:
            if self._requests is not None and self._server is not None:
                self._requests.close()
                self._server.kill()
                self._server.wait()
            self._requests = self._server = None

    def _asked(self, order: Order, descriptors: list[int]) -> socket.socket:
        try:
            requests = self._requests or self._begin()
            socket.send_fds(requests, [order.encode()], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            requests = self._begin()
            socket.send_fds(requests, [order.encode()], descriptors)
        return requests

    def _begin(self) -> socket.socket:
        if self._requests is not None and self._server is not None:
            self._requests.close()
            self._server.wait()
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._log_path.open("ab") as log:
            argv = python_module("testbed.runtime.fork_server", str(theirs.fileno()), _ROOM_FOR_TITLES)
            self._server = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environment,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        self._requests = ours
        return ours


@contextmanager
def _adopting() -> Iterator[None]:
    """Take in orphans among the descendants of this process: those that come up meanwhile become its children."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
