"""A process that has imported what others need, and forks them: `python -m testbed.runtime.fork_server SOCKET PADDING`.

Owns the parent's side of docs/decisions/0025: it imports a module when it is first asked for, once, and each process
that is to run the module begins as a copy, with its own log, descriptors, network namespace, title and session. Who
asks is in `forked_process`; what the module does is not known here.

A process is the child of a process in between, which ends at once, so that the one who asked becomes its parent (it is
a subreaper meanwhile): that one sees its exit code, and it dies with that one, as if it had been started there.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.runtime.event_loop import end_with_parent

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_MOST_OCTETS = 1 << 16
_MOST_DESCRIPTORS = 250
_ARG_START, _ARG_END = 45, 46  # among the fields of /proc/<pid>/stat after the name


@dataclass(frozen=True)
class Order:
    """A module to run, or only to import (`starter` is None).

    With it come descriptors: of the log, of a network namespace if `has_namespace`, and those that shall have the
    numbers `pass_fds`.
    """

    module: str
    arguments: tuple[str, ...] = ()
    starter: int | None = None  # the process that asks, and will be the parent
    has_namespace: bool = False
    pass_fds: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Return it as one datagram."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Order:
        """Return what `encode` wrote."""
        values = json.loads(data)
        return cls(**{**values, "arguments": tuple(values["arguments"]), "pass_fds": tuple(values["pass_fds"])})


def main() -> None:
    """Serve until nobody can ask any more; in a process that was asked for, become it."""
    end_with_parent()
    requests = socket.socket(fileno=int(sys.argv[1]))
    task = _serve(requests)
    if task is not None:
        requests.close()
        _become(*task)


def _serve(requests: socket.socket) -> tuple[Order, list[int]] | None:
    """Fork whatever is asked for. Returns an order and its descriptors in the process that is to carry it out."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, _MOST_OCTETS, _MOST_DESCRIPTORS)
        if not data:
            return None
        order = Order.decode(data)
        _import(order.module)
        if order.starter is None:
            continue
        pid = _fork()
        if pid is None:
            return order, descriptors
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(str(pid).encode())


def _import(module: str) -> None:
    """Import a module that will run as a program; if that fails, it will fail there, and say so."""
    program = f"{module}.__main__" if _is_package(module) else module
    if program in sys.modules:
        return
    gc.disable()  # so that no page is left with holes that children would fill
    with suppress(Exception):
        importlib.import_module(program)
    gc.collect()
    gc.freeze()  # a collection in a child must not touch, and so copy, what is shared
    gc.enable()


def _is_package(module: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), "__path__")
    except Exception:
        return False


def _fork() -> int | None:
    """Fork a process that is nobody's child here; return its id, or None in that very process."""
    begin, go = os.pipe()
    reader, writer = os.pipe()
    between = os.fork()
    if between:
        os.close(begin)
        os.close(writer)
        pid = int(os.read(reader, 32))
        os.close(reader)
        os.waitpid(between, 0)  # by now the process has the parent that it shall have
        os.close(go)
        return pid
    pid = os.fork()
    if pid:
        os.write(writer, str(pid).encode())
        os._exit(0)
    for descriptor in (go, writer, reader):
        os.close(descriptor)
    os.read(begin, 1)
    os.close(begin)
    return None


def _become(order: Order, descriptors: list[int]) -> None:
    end_with_parent()
    if os.getppid() != order.starter:  # it has died meanwhile
        os._exit(1)
    os.setsid()
    if order.has_namespace and _LIBC.setns(descriptors[1], _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")
    _place(descriptors, order)
    argv = [order.module, *order.arguments]
    _set_title([sys.executable, "-m", *argv])
    sys.argv = argv
    # It is there already under its name, and runs once more as `__main__`, as `python -m` would have it.
    sys.modules.pop(order.module, None)
    sys.modules.pop(f"{order.module}.__main__", None)
    # Taking an interpreter down page by page would copy every page that is shared.
    os._exit(_exit_code(order.module))


def _exit_code(module: str) -> int:
    """Run a module to its end, and what is to be done at the end of a process; return the exit code."""
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _place(descriptors: list[int], order: Order) -> None:
    """Put each descriptor where it is wanted; first all of them out of the way of all others."""
    beyond = max(2, *order.pass_fds, *descriptors) + 1
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, beyond) for descriptor in descriptors]
    log, wanted = moved[0], moved[2 if order.has_namespace else 1 :]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in ((log, 1), (log, 2), *zip(wanted, order.pass_fds, strict=True)):
        os.dup2(descriptor, number)
    for descriptor in moved:
        os.close(descriptor)


def _set_title(command: list[str]) -> None:
    """Have `ps` and /proc/<pid>/cmdline show a command, as far as the arguments of this process leave room."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, room = int(fields[_ARG_START]), int(fields[_ARG_END]) - int(fields[_ARG_START])
    title = b"".join(word.encode() + b"\0" for word in command)[: room - 1]
    ctypes.memset(begin, 0, room)
    ctypes.memmove(begin, title, len(title))


if __name__ == "__main__":
    main()
