"""The processes of a run: started in the network namespaces of its nodes, ended together.

Owns the list of them, and the warm parents that Python modules are forked from (docs/decisions/0025). All carry the
run's tag. Knows nothing of what they do.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from testbed.emulation import tagged_processes as processes
from testbed.emulation.netns.namespaces import path_of
from testbed.emulation.run_owner import start_ticks
from testbed.emulation.run_tag import RunTag
from testbed.runtime import caller
from testbed.runtime.forked_process import ForkedProcess, ForkServer

_OF_THE_FRAMEWORK = "ryu_apps"  # what these import is large, and nobody else needs it

Child = subprocess.Popen[bytes] | ForkedProcess


class NodeProcesses:
    """Start processes in nodes; `pid_of` says which process holds a node's namespaces open."""

    def __init__(self, tag: RunTag, pid_of: Callable[[str], int]) -> None:
        self._tag = tag
        self._pid_of = pid_of
        self._children: list[Child] = []
        self._parents: dict[bool, ForkServer] = {}

    def popen(
        self,
        node: str | None,
        argv: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str],
        pass_fds: Collection[int],
    ) -> subprocess.Popen[bytes]:
        """Start a command in a node (None: in the root namespace). Raises OSError."""
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                self.inside(node, argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**caller.environment(), **env, **self._tag.environment},
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def start_module(
        self, node: str | None, module: str, arguments: Sequence[str], *, log_path: Path, pass_fds: Collection[int]
    ) -> ForkedProcess:
        """Start `python -m module ARGUMENTS` in a node, as a copy of a process that has imported it. Raises OSError."""
        log_path.parent.mkdir(parents=True, exist_ok=True)
        parent = self._parent(module, log_path.parent)
        namespace = None if node is None else os.open(path_of(self._pid_of(node)), os.O_RDONLY)
        try:
            with log_path.open("ab") as log:
                child = parent.start(module, arguments, log.fileno(), namespace=namespace, pass_fds=pass_fds)
        finally:
            if namespace is not None:
                os.close(namespace)
        self._children.append(child)
        return child

    def warm_up(self, modules: Collection[str], logs: Path) -> None:
        """Have modules imported that will be started, while others work."""
        for module in modules:
            self._parent(module, logs).warm_up(module)

    def running(self) -> list[int]:
        """Return the ids of those that run."""
        return [child.pid for child in self._children if child.poll() is None]

    def end(self, grace_s: float) -> None:
        """End all of them, and the parents."""
        known = [(pid, start_ticks(pid)) for pid in self.running()]
        processes.end([processes.Process(pid, ticks) for pid, ticks in known if ticks is not None], grace_s=grace_s)
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.1)
        self._children.clear()
        for parent in self._parents.values():
            parent.close()
        self._parents.clear()

    def inside(self, node: str | None, argv: Sequence[str]) -> list[str]:
        """Return what starts a command in a node's network namespace."""
        if node is None:
            return list(argv)
        # Not `mnexec -a`: it enters the mount namespace, too, and so leaves a chroot that the testbed may live in.
        return ["nsenter", f"--net={path_of(self._pid_of(node))}", "--", *argv]

    def _parent(self, module: str, logs: Path) -> ForkServer:
        of_framework = module.startswith(f"{_OF_THE_FRAMEWORK}.")
        if of_framework not in self._parents:
            log_path = logs / f"fork-server-{'controllers' if of_framework else 'agents'}.log"
            self._parents[of_framework] = ForkServer({**os.environ, **self._tag.environment}, log_path)
        return self._parents[of_framework]
