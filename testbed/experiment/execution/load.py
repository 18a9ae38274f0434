"""The second phase of a run: systems offer the load, while faults are injected.

Owns when the load starts, how long it may take, and what must be measured before the first packet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from testbed.emulation.machine.host_drops import HostDrops
from testbed.experiment.execution.run_folder import RunFolder
from testbed.experiment.faults.injector import FaultInjector
from testbed.experiment.launch.processes import RunError
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.experiment.system import policy_of, systems
from testbed.records.writer import RecordWriter
from testbed.runtime.pulse import Pulse
from testbed.terminal import streams

_READY_TIMEOUT_S = 60.0
_HEAD_START_S = 3.0  # the processes have started by then, and the paths were probed in peace
_START_PER_PROCESS_S = 0.15
_MEASURING_ENDS_S = 0.5  # before the traffic
RUNNER = "the runner"  # what the verdict calls this process
_LATE_END_S = 30.0  # how long after it should have ended a load is waited for


@dataclass(frozen=True)
class Load:
    """A load that is ready to start at `start_s`: its processes, and the machine as it was before."""

    start_s: float
    processes: tuple[str, ...]
    longest_work_s: float
    drops_before: HostDrops


def start_load(testbed: Testbed, process_count: int) -> Load:
    """Start what will offer the load, and measure the testbed at rest. Raises RunError if that takes too long."""
    of_systems = testbed.running.values()
    for running in of_systems:
        running.settle()
    for running in of_systems:
        running.converge()
    start_s = time.monotonic() + _HEAD_START_S + _START_PER_PROCESS_S * process_count
    processes = tuple(name for running in of_systems for name in running.start_load(start_s))
    testbed.processes.wait_ready(processes, _READY_TIMEOUT_S)
    testbed.network.links.forget_lateness()
    for running in of_systems:
        running.measure_at_rest(start_s - _MEASURING_ENDS_S)
    longest_s = max((running.longest_work_s for running in of_systems), default=0.0)
    load = Load(start_s, processes, longest_s, testbed.network.host_drops(overload_tolerant_hosts(testbed.plan)))
    if time.monotonic() > start_s:
        raise RunError("the generators were not ready in time; the machine is overloaded: fewer clients, or wait")
    return load


def offer_load(testbed: Testbed, load: Load, folder: RunFolder, progress: Progress) -> None:
    """Wait until the load was offered, and inject the faults meanwhile. Raises RunError if it does not end."""
    scenario = testbed.plan.scenario
    policy = policy_of(scenario)
    flows = f"{len(load.processes)} clients, {scenario.duration_s:g} s{f', policy {policy}' if policy else ''}"
    begins_s = max(0.0, load.start_s - time.monotonic())
    progress.phase(f"traffic in {begins_s:.0f} s: {flows}; results go to {folder.path}")
    progress.traffic(folder.work, load.start_s)
    patience_s = load.longest_work_s + _LATE_END_S  # after the last arrival
    with RecordWriter(folder.work, "faults") as records:
        injector = FaultInjector(testbed, records, progress, load.start_s)
        pulse = Pulse(folder.work, RUNNER, time.monotonic())

        def has_ended() -> bool:
            pulse.look(time.monotonic())
            injector.step()
            pulse.leave_out(time.monotonic())  # a fault may wait for who does not answer
            elapsed_s = time.monotonic() - load.start_s
            loads = [item for running in testbed.running.values() for item in running.loads()]
            progress.load(elapsed_s, scenario.duration_s, loads)
            return testbed.processes.have_ended(load.processes) and elapsed_s >= scenario.duration_s

        try:
            until_start_s = load.start_s - time.monotonic()
            with streams.never_waiting():  # for whoever reads, for faults have their time
                in_time = testbed.processes.wait_until(has_ended, until_start_s + scenario.duration_s + patience_s)
        finally:
            pulse.close(time.monotonic())
            injector.close()
    if not in_time:
        raise RunError(f"generators still run {patience_s:g} s after the last arrival; see {folder.logs}")
    testbed.processes.check()


def overload_tolerant_hosts(plan: Plan) -> list[str]:
    """Return the hosts where real work is done, which is meant to be too slow for what it is offered."""
    return [host for system in systems() for host in system.overload_tolerant_hosts(plan)]
