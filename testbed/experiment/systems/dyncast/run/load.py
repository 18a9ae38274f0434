"""The load that Dyncast's workloads offer: generators at clients, and programs that others wrote."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch import generators
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.systems.dyncast.launch import command_configs, process_configs, workload_files
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from traffic.config import WorkloadConfig


class OfferedLoad:
    """Prepare it before the network is built, start it once the testbed stands, assess it when it has ended."""

    def __init__(self, plan: DyncastPlan, testbed: Testbed) -> None:
        self._plan = plan
        self._testbed = testbed
        self._workloads: dict[str, list[WorkloadConfig]] = {}
        self._generators: list[str] = []
        self.longest_flow_s = 0.0

    def prepare(self, base: Path) -> int:
        """Draw all arrivals; return how many processes will offer them. `base`: what trace paths are relative to."""
        configured = workload_files.write(self._plan, self._testbed.folder / "workloads", base)
        self._workloads = {client: of_client for client, of_client in configured.items() if of_client}
        self.longest_flow_s = self._longest_flow_s()
        workloads = self._plan.scenario.flow_workloads
        return len(self._workloads) + sum(len(self._plan.clients_of(item)) for item in workloads if item.command)

    def start(self, start_s: float) -> Sequence[str]:
        """Start generators and commands; return their names."""
        plan, folder, processes = self._plan, self._testbed.folder, self._testbed.processes
        for client in plan.clients:
            if client.name in self._workloads:
                generator = process_configs.generator(plan, client, self._workloads[client.name], start_s, folder)
                processes.start(client.name, "traffic.generator", generator, may_end=True)
                self._generators.append(client.name)
        commands = []
        for client, command in command_configs.loads(plan, start_s, folder, self._testbed.logs):
            processes.start(client.name, command_configs.CLIENT_MODULE, command, may_end=True)
            commands.append(command.name)
        return [*self._generators, *commands]

    def sending(self) -> dict[str, dict[str, Any]]:
        """Return how generators kept to their schedules."""
        return dict(generators.sending(self._testbed.folder, self._generators))

    def assess(self, verdict: Fidelity) -> None:
        """A command that failed makes the run invalid."""
        for failure in command_configs.failed_loads(self._testbed.folder):
            verdict.fail(failure)

    def _longest_flow_s(self) -> float:
        timeout_s = max((item.timeout_s for item in self._plan.scenario.flow_workloads), default=0.0)
        files = [workload.arrivals_file for of_client in self._workloads.values() for workload in of_client]
        return timeout_s + max(map(_longest_call_s, files), default=0.0)


def _longest_call_s(arrivals: Path) -> float:
    with arrivals.open(newline="", encoding="utf-8") as stream:
        return max((float(row.get("duration_s") or 0.0) for row in csv.DictReader(stream)), default=0.0)
