"""Break things while the load goes on, at their times, and write down when each was done.

`Schedule` is pure: which faults begin or end by now. `Breaker` performs them on a testbed, through what processes and
links offer anyway, and writes `faults` rows. What takes several steps (`migration`) is carried on with in between.
What a fault did to the flows is the analysis's business.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from testbed.experiment.faults.migration import Migration
from testbed.experiment.faults.operations import Hands, TestbedHands
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.fault_plan import PlannedFault
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.records.writer import RecordWriter

_WORDS = {"begin": "", "end": " ends"}

Event = Literal["begin", "end"]


@dataclass(frozen=True)
class Step:
    """The begin or the end of a fault, `due_s` after the start of the load."""

    due_s: float
    event: Event
    fault: PlannedFault


class Schedule:
    """The steps of all faults in order; each is handed out once."""

    def __init__(self, faults: Sequence[PlannedFault]) -> None:
        steps = [Step(fault.at_s, "begin", fault) for fault in faults]
        steps += [Step(fault.until_s, "end", fault) for fault in faults if fault.until_s is not None]
        # What ends makes way for what begins at the same moment.
        self._waiting = sorted(steps, key=lambda step: (step.due_s, step.event == "begin", step.fault.number))

    def due(self, elapsed_s: float) -> list[Step]:
        """Return the steps that are due by now."""
        due = [step for step in self._waiting if step.due_s <= elapsed_s]
        self._waiting = self._waiting[len(due) :]
        return due


def perform(step: Step, hands: Hands) -> str:
    """Perform a step; return what there is to remark."""
    fault, begins = step.fault, step.event == "begin"
    if fault.links:
        remarks = [(hands.cut if begins else hands.mend)(*link) for link in fault.links]
    elif fault.kind == "instance_drain":
        remarks = [hands.set_state(fault.instance, "draining" if begins else "up")]
    elif fault.kind == "agent_silent":
        remarks = [hands.signal(f"dma@{fault.site}", signal.SIGSTOP if begins else signal.SIGCONT)]
    elif fault.kind == "control_killed":
        remarks = [hands.kill(f"control@{fault.site}") if begins else hands.start_control(fault.site)]
    elif fault.kind == "instance_crash":
        remarks = [hands.kill(fault.instance) if begins else hands.start_instance(fault.instance)]
    else:
        starts = (fault.kind == "instance_start") == begins
        remarks = [(hands.start_instance if starts else hands.dismiss)(fault.instance)]
    return "; ".join(filter(None, remarks))


def migration(step: Step) -> Migration:
    """Return the move that a step of a `migrate` begins: there, or at its end back again."""
    fault = step.fault
    if step.event == "begin":
        return Migration(fault.instance, fault.to, fault.quiet_s)
    return Migration(fault.to, fault.instance, fault.quiet_s)


class Breaker:
    """Perform the faults of a plan on a testbed whose load starts at `start_s`."""

    def __init__(self, plan: Plan, testbed: Testbed, records: RecordWriter, progress: Progress, start_s: float) -> None:
        self._schedule = Schedule(plan.faults)
        self._hands = TestbedHands(plan, testbed)
        self._records = records
        self._progress = progress
        self._start_s = start_s
        self._migrations: dict[int, tuple[PlannedFault, Migration]] = {}

    def go_on(self) -> None:
        """Perform what is due by now."""
        for step in self._schedule.due(time.monotonic() - self._start_s):
            self._write(step.fault, step.event, self._perform(step), self._start_s + step.due_s)
        for fault, moving in self._migrations.values():
            happened = moving.go_on(time.monotonic(), self._hands)
            if happened is not None:
                self._write(fault, *happened)

    def close(self) -> None:
        """Have processes that are halted go on, for a halted one cannot end; say what is unfinished."""
        self._hands.release()
        for fault, moving in self._migrations.values():
            unfinished = moving.unfinished()
            if unfinished is not None:
                self._write(fault, *unfinished)

    def _perform(self, step: Step) -> str:
        if step.fault.kind != "migrate":
            return perform(step, self._hands)
        moving = migration(step)
        self._migrations[step.fault.number] = step.fault, moving
        return moving.begin(self._hands)

    def _write(self, fault: PlannedFault, event: str, detail: str, due_s: float | None = None) -> None:
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
