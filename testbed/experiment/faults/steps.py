"""The steps of faults, in their order. Pure: which begin or end by now, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from testbed.experiment.plan.planned_fault import PlannedFault

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


class Happening(NamedTuple):
    """A step of a fault that was done besides its begin and end, or what it still waited for when the run ended."""

    fault: PlannedFault
    event: str
    detail: str
