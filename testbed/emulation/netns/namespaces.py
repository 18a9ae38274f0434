"""Enter network namespaces of other processes, and make throw-away ones.

Owns setns. A network namespace is a property of a thread: entering one moves the calling thread only, and
sockets, TAP devices and child processes made there stay there. Stdlib only, for the relay imports it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType

from testbed.errors import TestbedError

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class NamespaceError(TestbedError, OSError):
    """A network namespace cannot be entered or made; one line that says which and why."""


@contextmanager
def entered(pid: int | None) -> Iterator[None]:
    """Run the block with this thread in the network namespace of process `pid` (None: stay here)."""
    if pid is None:
        yield
        return
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            target = os.open(path_of(pid), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NamespaceError(error.errno, f"process {pid} holds no network namespace: {error.strerror}") from error
        try:
            _set(target, f"the network namespace of process {pid}")
        finally:
            os.close(target)
        try:
            yield
        finally:
            _set(home, "the network namespace it came from")
    finally:
        os.close(home)


def path_of(pid: int) -> str:
    """Return the path by which the kernel and iproute2 know the network namespace of a process."""
    return f"/proc/{pid}/ns/net"


def socket_in(pid: int | None, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """Return a socket that lives in the network namespace of process `pid`."""
    with entered(pid):
        return socket.socket(family, kind)


def _set(descriptor: int, what: str) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise NamespaceError(number, f"cannot enter {what}: {os.strerror(number)}; run as root")


class Namespace:
    """A network namespace of its own, held open by a process that ends with this one.

    A context manager; `pid` is that process. Its loopback interface is up.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        # `cat` ends at the end of its input: with this object, or with this process however that dies.
        try:
            self._holder = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise NamespaceError(error.errno, "unshare is not installed; apt-get install -y util-linux") from error
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if not self._holder.stdout.readline():
            reason = self._holder.stderr.read().decode(errors="replace").strip()
            self.close()
            raise NamespaceError(0, f"cannot make a network namespace: {reason or 'no reason given'}")

    @property
    def pid(self) -> int:
        """Return the process whose network namespace it is."""
        return self._holder.pid

    def run(self, argv: Sequence[str], *, text_input: str | None = None) -> str:
        """Run a command inside to its end and return its output. Raises NamespaceError with its words if it fails."""
        with entered(self.pid):
            done = subprocess.run(argv, input=text_input, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NamespaceError(
                0, f"{' '.join(argv)}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}"
            )
        return done.stdout

    def close(self) -> None:
        """Let the namespace go; safe to call twice."""
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        if self._holder.poll() is None:
            self._holder.kill()
        self._holder.wait()

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
