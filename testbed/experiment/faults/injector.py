"""Break things while the load goes on, at their times, and write down when each was done.

`FaultInjector` performs the faults of links itself, and passes all others to the system whose kind they are, and writes
`faults` rows. What a fault did to the flows is the analysis's business.
"""

from __future__ import annotations

import time

from testbed.experiment.faults.operations import Operations, TestbedOperations
from testbed.experiment.faults.steps import Happening, Schedule, Step
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.progress import Progress
from testbed.experiment.system import systems
from testbed.records.writer import RecordWriter

_WORDS = {"begin": "", "end": " ends"}


def perform(step: Step, operations: Operations) -> str:
    """Cut or degrade links, or restore them; return what there is to remark."""
    spec, begins = step.fault.degraded, step.event == "begin"
    if spec is None:
        cut = operations.cut if begins else operations.restore
        return "; ".join(filter(None, [cut(*link) for link in step.fault.links]))
    degrade = operations.degrade if begins else operations.repair
    return "; ".join(filter(None, [degrade(*link, spec) for link in step.fault.links]))


class FaultInjector:
    """Perform the faults of a plan on a testbed whose load starts at `start_s`."""

    def __init__(self, testbed: Testbed, records: RecordWriter, progress: Progress, start_s: float) -> None:
        self._schedule = Schedule(testbed.plan.faults)
        self._operations = TestbedOperations(testbed)
        self._running = testbed.running
        self._owners = {kind: testbed.running[system.name] for system in systems() for kind in system.fault_kinds}
        self._records = records
        self._progress = progress
        self._start_s = start_s

    def step(self) -> None:
        """Perform what is due by now."""
        for step in self._schedule.due(time.monotonic() - self._start_s):
            self._write(Happening(step.fault, step.event, self._perform(step)), self._start_s + step.due_s)
        for running in self._running.values():
            for happening in running.step(time.monotonic()):
                self._write(happening)

    def close(self) -> None:
        """Have processes that are halted go on, for a halted one cannot end; say what is unfinished."""
        for running in self._running.values():
            for happening in running.end_faults():
                self._write(happening)

    def _perform(self, step: Step) -> str:
        owner = self._owners.get(step.fault.kind)
        if owner is not None:
            return owner.perform(step)
        remark = perform(step, self._operations)
        for running in self._running.values():
            running.on_links_changed()
        return remark

    def _write(self, happening: Happening, due_s: float | None = None) -> None:
        fault, event, detail = happening
        done_s = time.monotonic()
        self._records.write(
            "faults",
            {
                "number": fault.number,
                "due_s": due_s,
                "time_s": done_s,
                "fault": fault.kind,
                "target": fault.target,
                "event": event,
                "detail": detail,
            },
        )
        self._records.flush()
        what = f"{fault.kind} {fault.target}{_WORDS.get(event, f': {event}')}"
        remark = f" ({detail})" if detail else ""
        self._progress.phase(f"{done_s - self._start_s:.2f} s: {what}{remark}")
