"""The second phase of a run: generators and commands at the clients offer the load, while faults are injected.

Owns when the load starts, how long it may take, and what must be measured before the first packet.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.machine.host_drops import StrayDrops
from testbed.experiment.execution import baseline_measures
from testbed.experiment.execution.live_load import LiveLoad
from testbed.experiment.execution.run_folder import RunFolder
from testbed.experiment.faults.injector import Breaker
from testbed.experiment.fidelity.link_fidelity import IdlePath
from testbed.experiment.launch import command_configs, process_configs
from testbed.experiment.launch.processes import RunError
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.records.writer import RecordWriter
from traffic.config import WorkloadConfig

_READY_TIMEOUT_S = 60.0
_HEAD_START_S = 3.0  # the processes have started by then, and the paths were probed in peace
_START_PER_PROCESS_S = 0.15
_ASKING_ENDS_S = 0.5  # before the traffic
_LATE_END_S = 30.0  # how long after it should have ended a load is waited for

Workloads = Mapping[str, list[WorkloadConfig]]


@dataclass(frozen=True)
class Load:
    """A load that is ready to start at `start_s`, and the machine as it was before."""

    start_s: float
    generators: tuple[str, ...]
    commands: tuple[str, ...]  # processes of clients whose load somebody else's program makes
    longest_flow_s: float
    idle_links: tuple[MeasuredDirection, ...]
    idle_paths: tuple[IdlePath, ...]
    drops_before: StrayDrops

    @property
    def processes(self) -> list[str]:
        """All that offer load."""
        return [*self.generators, *self.commands]


def start_load(plan: Plan, testbed: Testbed, workloads: Workloads, folder: RunFolder) -> Load:
    """Start what will offer the load, and measure the testbed at rest. Raises RunError if that takes too long."""
    longest_flow_s = _longest_flow_s(plan, workloads)
    active = [client for client in plan.clients if workloads[client.name]]
    command_count = sum(len(plan.clients_of(item)) for item in plan.scenario.workloads if item.command)
    start_s = time.monotonic() + _HEAD_START_S + _START_PER_PROCESS_S * (len(active) + command_count)
    for client in active:
        generator = process_configs.generator(plan, client, workloads[client.name], start_s, folder.work)
        testbed.processes.start(client.name, "traffic.generator", generator, may_end=True)
    commands = []
    for client, command in command_configs.loads(plan, start_s, folder.work, folder.logs):
        testbed.processes.start(client.name, command_configs.CLIENT_MODULE, command, may_end=True)
        commands.append(command.name)
    generators = [client.name for client in active]
    testbed.processes.wait_ready([*generators, *commands], _READY_TIMEOUT_S)
    testbed.network.links.forget_lateness()
    load = Load(
        start_s=start_s,
        generators=tuple(generators),
        commands=tuple(commands),
        longest_flow_s=longest_flow_s,
        idle_links=tuple(testbed.measured_links),
        idle_paths=tuple(baseline_measures.idle_paths(testbed, plan, start_s - _ASKING_ENDS_S)),
        drops_before=testbed.network.stray_drops(overload_tolerant_hosts(plan)),
    )
    if time.monotonic() > start_s:
        raise RunError("the generators were not ready in time; the machine is overloaded: fewer clients, or wait")
    return load


def offer_load(plan: Plan, testbed: Testbed, load: Load, folder: RunFolder, progress: Progress) -> None:
    """Wait until the load was offered, and inject the faults meanwhile. Raises RunError if it does not end."""
    duration_s = plan.scenario.duration_s
    what = f"{len(load.processes)} clients, {duration_s:g} s, policy {plan.scenario.policy}"
    progress.phase(f"traffic: {what}; results go to {folder.path}")
    progress.traffic(folder.work, load.start_s)
    live = LiveLoad(folder.work, [item.name for item in plan.instances])
    patience_s = load.longest_flow_s + _LATE_END_S  # after the last arrival
    with RecordWriter(folder.work, "faults") as records:
        injector = Breaker(plan, testbed, records, progress, load.start_s)

        def has_ended() -> bool:
            injector.go_on()
            elapsed_s = time.monotonic() - load.start_s
            progress.load(elapsed_s, duration_s, live.read())
            return testbed.processes.have_ended(load.processes) and elapsed_s >= duration_s

        try:
            until_start_s = load.start_s - time.monotonic()
            in_time = testbed.processes.wait_until(has_ended, until_start_s + duration_s + patience_s)
        finally:
            injector.close()
    if not in_time:
        raise RunError(f"generators still run {patience_s:g} s after the last arrival; see {folder.logs}")
    testbed.processes.check()


def overload_tolerant_hosts(plan: Plan) -> list[str]:
    """Return the hosts where real work is done, which is meant to be too slow for what it is offered."""
    return [item.host for item in plan.instances if item.keys.mode == "burn" or item.keys.command]


def _longest_flow_s(plan: Plan, workloads: Workloads) -> float:
    """Return how long a flow may take that arrives last: its timeout, and the longest call."""
    timeout_s = max((item.timeout_s for item in plan.scenario.workloads), default=0.0)
    files = [workload.arrivals_file for of_client in workloads.values() for workload in of_client]
    return timeout_s + max(map(_longest_call_s, files), default=0.0)


def _longest_call_s(arrivals: Path) -> float:
    with arrivals.open(newline="", encoding="utf-8") as stream:
        return max((float(row.get("duration_s") or 0.0) for row in csv.DictReader(stream)), default=0.0)
