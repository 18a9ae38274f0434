"""When planned faults end or halt which processes: what these do then is no fault of the machine. Pure.

The windows are narrow: of the processes that a fault names and no others, from when it is due until it is undone (the
end of the run, if it is not), and so long afterwards as a process takes to start and to take over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from testbed.experiment.fidelity.process_gaps import Window
from testbed.experiment.plan.planned_fault import PlannedFault

START_S = 2.0


def planned_windows(faults: Iterable[PlannedFault], start_s: float) -> dict[str, list[Window]]:
    """Return the windows of each process that a fault concerns; the load starts at `start_s`."""
    windows: dict[str, list[Window]] = {}
    for fault in faults:
        for process, begin_s, end_s in _concerned(fault):
            windows.setdefault(process, []).append(Window(start_s + begin_s, start_s + end_s + START_S))
    return windows


def _concerned(fault: PlannedFault) -> Iterator[tuple[str, float, float]]:
    until_s = math.inf if fault.until_s is None else fault.until_s
    if fault.kind == "agent_silent":
        yield f"dma@{fault.site}", fault.at_s, until_s
    elif fault.kind == "control_killed":
        yield f"control@{fault.site}", fault.at_s, until_s
    elif fault.kind in ("instance_crash", "instance_stop"):
        yield fault.instance, fault.at_s, until_s
    elif fault.kind == "instance_start":
        yield fault.instance, fault.at_s, fault.at_s
    elif fault.kind == "migrate":
        yield fault.to, fault.at_s, fault.at_s
        if fault.until_s is not None:  # back again
            yield fault.instance, fault.until_s, fault.until_s
