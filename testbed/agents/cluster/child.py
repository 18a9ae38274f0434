"""A container's command as a child of this process: its descriptors, its end, what it writes.

Owns the socket that a container is served at, the pipe by which it reports that it is ready, and the pipes of its
output.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from testbed.agents.cluster.logs import LogStream
from testbed.linux.cpu_priority import restore_priority

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x20000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_MNT_DETACH = 2
_SOCKET, _READY = 3, 4
_PIPE_BYTES = 1 << 16


class Child:
    """A command from its start to its end. `on_ready` is called once it serves, `on_ended` once it has ended."""

    def __init__(
        self,
        argv: Sequence[str],
        address: Path,
        groups: Sequence[Path],
        on_ready: Callable[[], None],
        on_ended: Callable[[int], None],
        hidden: Sequence[str] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_ready, self._on_ended = on_ready, on_ended
        self.stdout, self.stderr = LogStream("stdout"), LogStream("stderr")
        self.is_ready = False
        _occupy(_SOCKET, _READY)
        ready, ready_end = os.pipe()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen(16)
            address.chmod(0o600)
            try:
                self._popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                    start_new_session=True,
                    pass_fds=(_SOCKET, _READY),
                    preexec_fn=_Prepare(listening.fileno(), ready_end, groups, hidden),
                )
            except BaseException:
                os.close(ready)
                raise
            finally:
                os.close(ready_end)
        self.pid = self._popen.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._ready = ready
        self._loop.add_reader(self._pidfd, self._on_exit)
        self._loop.add_reader(ready, self._on_report)
        for pipe, stream in ((self._popen.stdout, self.stdout), (self._popen.stderr, self.stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._loop.add_reader(pipe.fileno(), self._on_output, pipe.fileno(), stream)

    def said(self) -> str:
        """Return the last line that it wrote outside of activations, for an error."""
        lines = [line for line in (*self.stdout.rest(), *self.stderr.rest()) if line.strip()]
        return lines[-1].strip()[:300] if lines else ""

    def _on_report(self) -> None:
        has_said = os.read(self._ready, 1)
        self._loop.remove_reader(self._ready)
        os.close(self._ready)
        self._ready = -1
        if has_said:
            self.is_ready = True
            self._on_ready()

    def _on_output(self, descriptor: int, stream: LogStream) -> None:
        try:
            part = os.read(descriptor, _PIPE_BYTES)
        except BlockingIOError:
            return
        if part:
            stream.feed(part)
        else:
            self._loop.remove_reader(descriptor)
            stream.end()

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._popen.wait()
        if self._ready >= 0:
            self._loop.remove_reader(self._ready)
            os.close(self._ready)
            self._ready = -1
        for pipe, stream in ((self._popen.stdout, self.stdout), (self._popen.stderr, self.stderr)):
            assert pipe is not None
            self._drain(pipe.fileno(), stream)
            self._loop.remove_reader(pipe.fileno())
            stream.end()
            pipe.close()
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        self._on_ended(code)

    @staticmethod
    def _drain(descriptor: int, stream: LogStream) -> None:
        with suppress(BlockingIOError, OSError):
            for _ in range(64):  # a process that escaped could write for ever
                part = os.read(descriptor, _PIPE_BYTES)
                if not part:
                    return
                stream.feed(part)


class _Prepare:
    """What the child does before it becomes the command."""

    def __init__(self, listening: int, ready: int, groups: Sequence[Path], hidden: Sequence[str]) -> None:
        self._listening, self._ready = listening, ready
        self._hidden = [path.encode() for path in hidden]
        self._groups = [str(group) for group in groups]

    def __call__(self) -> None:
        """Enter the groups, hide mounts, take the descriptors, run as others do, and end when the cluster does."""
        for group in self._groups:
            with open(group, "wb", buffering=0) as file:  # noqa: PTH123  light: after a fork
                file.write(b"0")
        if self._hidden:
            _LIBC.unshare(_CLONE_NEWNS)
            _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        for path in self._hidden:
            _LIBC.umount2(path, _MNT_DETACH)
        os.dup2(self._listening, _SOCKET)
        os.dup2(self._ready, _READY)
        if os.getpriority(os.PRIO_PROCESS, 0) < 0:  # a cluster of a run is before others; its functions are not
            restore_priority()
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _occupy(*descriptors: int) -> None:
    """See to it that descriptors are open, so that none of a new child's is at their places."""
    for descriptor in descriptors:
        try:
            os.fstat(descriptor)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != descriptor:
                os.dup2(nothing, descriptor, inheritable=False)
                os.close(nothing)
