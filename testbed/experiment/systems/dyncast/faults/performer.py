"""Dyncast's faults while the load goes on: each performed at its begin and its end, migrations step by step."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from testbed.experiment.faults.steps import Happening, Step
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.systems.dyncast.faults.migration import Migration
from testbed.experiment.systems.dyncast.faults.operations import DyncastOperations, RunOperations


def perform(step: Step, operations: DyncastOperations) -> str:
    """Perform a step that is all there is to it; return what there is to remark."""
    fault, begins = step.fault, step.event == "begin"
    if fault.kind == "instance_drain":
        return operations.set_state(fault.instance, "draining" if begins else "up")
    if fault.kind == "agent_silent":
        return operations.signal(f"dma@{fault.site}", signal.SIGSTOP if begins else signal.SIGCONT)
    if fault.kind == "control_killed":
        return operations.kill(f"control@{fault.site}") if begins else operations.start_control(fault.site)
    if fault.kind == "instance_crash":
        return operations.kill(fault.instance) if begins else operations.start_instance(fault.instance)
    starts = (fault.kind == "instance_start") == begins
    return (operations.start_instance if starts else operations.stop)(fault.instance)


def migration(step: Step) -> Migration:
    """Return the move that a step of a `migrate` begins: there, or at its end back again."""
    fault = step.fault
    if step.event == "begin":
        return Migration(fault.instance, fault.to, fault.quiet_s)
    return Migration(fault.to, fault.instance, fault.quiet_s)


class FaultPerformer:
    """The faults of a run."""

    def __init__(self, operations: RunOperations) -> None:
        self._operations = operations
        self._migrations: dict[int, tuple[PlannedFault, Migration]] = {}

    def perform(self, step: Step) -> str:
        """Perform a step, or begin what takes several."""
        if step.fault.kind != "migrate":
            return perform(step, self._operations)
        moving = migration(step)
        self._migrations[step.fault.number] = step.fault, moving
        return moving.begin(self._operations)

    def step(self, now_s: float) -> Iterable[Happening]:
        """Go on with migrations."""
        for fault, moving in self._migrations.values():
            happened = moving.step(now_s, self._operations)
            if happened is not None:
                yield Happening(fault, *happened)

    def end(self) -> Iterable[Happening]:
        """Have processes that are halted go on, for a halted one cannot end; say which migrations are unfinished."""
        self._operations.release()
        for fault, moving in self._migrations.values():
            unfinished = moving.unfinished()
            if unfinished is not None:
                yield Happening(fault, *unfinished)
