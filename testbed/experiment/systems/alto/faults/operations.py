"""What function delivery's faults do: clusters started again, containers killed, ALTO servers made wrong, code spoilt.

Owns the ways to reach into a run: processes, the API of clusters, the files of the repository, and the file by which an
ALTO server learns what to say wrongly.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from testbed.agents.alto_server.falsehood import Falsehood, falsehood_path
from testbed.agents.repository.content import content_folder
from testbed.emulation.run_owner import start_ticks
from testbed.errors import TestbedError
from testbed.experiment.faults.operations import Operations, TestbedOperations
from testbed.experiment.systems.alto.cluster_api import ClusterApiError
from testbed.experiment.systems.alto.plan.plan import AltoPlan, PlannedCluster
from testbed.faas.delivery import manifest as manifests
from testbed.records.file_names import file_name
from testbed.runtime.child_command import descendants

if TYPE_CHECKING:
    from testbed.experiment.systems.alto.launch.running import RunningAlto

_TAKEN_WITHIN_S = 1.0
_LOOK_S = 0.005


class AltoOperations(Operations, Protocol):
    """What function delivery's faults do, besides what all do."""

    def start_cluster(self, name: str) -> str:
        """Start a cluster again."""

    def kill_container(self, cluster: str) -> str:
        """Kill a container of a cluster."""

    def say(self, falsehood: Falsehood) -> str:
        """Have the ALTO server say this instead of what it knows."""

    def spoil(self, function: str) -> str:
        """Change the code of a function at the repository; done twice, it is as it was."""


class RunOperations(TestbedOperations):
    """The operations of a run with function delivery."""

    def __init__(self, alto: RunningAlto) -> None:
        super().__init__(alto.testbed)
        self._alto = alto
        self._plan: AltoPlan = alto.plan
        self._folder: Path = alto.testbed.folder

    def start_cluster(self, name: str) -> str:
        """Start a cluster again."""
        if self._processes.is_running(name):
            return f"{name} ran already"
        self._alto.start_cluster(self._cluster(name))
        return ""

    def is_ready(self, name: str) -> bool:
        """Return whether a process that was started serves."""
        return (self._folder / f"{file_name(name)}.ready").exists()

    def kill_container(self, cluster: str) -> str:
        """Kill a container of a cluster: of those that work the one that was started first, else the first of all."""
        if not self._processes.is_running(cluster):
            return f"{cluster} did not run"
        try:
            with self._alto.cluster_api(self._cluster(cluster)) as api:
                held = sorted(api.ask("GET", "/api/v1/cluster").document["held"], key=lambda row: int(row["container"]))
        except (ClusterApiError, KeyError, TypeError) as error:
            return f"{cluster} did not say what containers it has: {error}"
        commands = _by_age(_children(self._processes.pid(cluster)))
        if not held or not commands:
            return f"{cluster} has no container"
        works = [index for index, row in enumerate(held) if row["works"]]
        index = works[0] if works else 0
        chosen = commands[index] if len(commands) == len(held) else commands[0]
        for pid in (*descendants(chosen), chosen):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return "" if works else "it did not work"

    def say(self, falsehood: Falsehood) -> str:
        """Have the ALTO server say this instead of what it knows."""
        server = self._plan.servers["alto"].name
        if not self._processes.is_running(server):
            return f"{server} did not run"
        path = falsehood_path(self._folder, server)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps(falsehood.to_document()), encoding="utf-8")
        partial.replace(path)
        self._processes.signal(server, signal.SIGHUP)
        until_s = time.monotonic() + _TAKEN_WITHIN_S
        while path.exists():
            if time.monotonic() > until_s:
                return f"{server} did not take it up within {_TAKEN_WITHIN_S:g} s"
            time.sleep(_LOOK_S)
        return ""

    def spoil(self, function: str) -> str:
        """Turn over the bits of the first octet of a function's code at the repository."""
        where = self._plan.servers["repository"]
        try:
            with self._alto.server_api(where) as api:
                digest = api.ask("GET", "/functions").document[function]["manifest"]
                manifest = manifests.read(json.dumps(api.ask("GET", f"/manifests/{digest}").document).encode())
        except (TestbedError, KeyError, TypeError, ValueError) as error:
            return f"{where.name} did not say what it has: {error}"
        path = content_folder(self._folder / "repository", where.name) / manifest.code.file_name
        with path.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 0xFF]))
        return ""

    def _cluster(self, name: str) -> PlannedCluster:
        return next(item for item in self._plan.clusters if item.name == name)


def _children(pid: int) -> list[int]:
    """Return the processes that a process started itself."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _by_age(pids: list[int]) -> list[int]:
    """Return those that live, the oldest first."""
    started = {pid: ticks for pid in pids if (ticks := start_ticks(pid)) is not None}
    return sorted(started, key=lambda pid: (started[pid], pid))
