"""Break things while the load goes on, at their times, and write down when each was done.

`Schedule` is pure: which faults begin or end by now. `Breaker` performs them on a testbed, through what processes and
links offer anyway, and writes `faults` rows. What a fault did to the flows is the analysis's business.
"""

from __future__ import annotations

import http.client
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, Protocol

from testbed.emulation import namespaces
from testbed.experiment import process_configs
from testbed.experiment.fault_plan import PlannedFault
from testbed.experiment.plan import Plan
from testbed.experiment.progress import Progress
from testbed.experiment.testbed import Testbed
from testbed.records import RecordWriter

_ADMIN_TIMEOUT_S = 2.0

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


class Hands(Protocol):
    """What faults do. Each returns a remark if there was nothing to do."""

    def kill(self, process: str) -> str:
        """Kill a process."""

    def dismiss(self, process: str) -> str:
        """Have a process end in good order."""

    def start_instance(self, name: str) -> str:
        """Start an instance."""

    def start_control(self, site: str) -> str:
        """Start the control process of a D-Router."""

    def signal(self, process: str, number: signal.Signals) -> str:
        """Send a signal."""

    def set_state(self, instance: str, state: str) -> str:
        """Have an instance say that it is up or draining."""

    def cut(self, a: str, b: str) -> str:
        """Have a link lose everything."""

    def mend(self, a: str, b: str) -> str:
        """Undo a cut."""


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
        starting, ending = fault.starts, fault.instance if fault.instance != fault.starts else ""
        if not begins:
            starting, ending = ending, starting
        remarks = [hands.start_instance(starting)] if starting else []
        remarks += [hands.dismiss(ending)] if ending else []
    return "; ".join(filter(None, remarks))


class Breaker:
    """Perform the faults of a plan on a testbed whose load starts at `start_s`."""

    def __init__(self, plan: Plan, testbed: Testbed, records: RecordWriter, progress: Progress, start_s: float) -> None:
        self._schedule = Schedule(plan.faults)
        self._hands = _TestbedHands(plan, testbed)
        self._records = records
        self._progress = progress
        self._start_s = start_s

    def go_on(self) -> None:
        """Perform what is due by now."""
        for step in self._schedule.due(time.monotonic() - self._start_s):
            detail = perform(step, self._hands)
            done_s = time.monotonic()
            fault = step.fault
            self._records.write(
                "faults",
                {
                    "number": fault.number,
                    "due_s": self._start_s + step.due_s,
                    "time_s": done_s,
                    "fault": fault.kind,
                    "target": fault.target,
                    "event": step.event,
                    "detail": detail,
                },
            )
            self._records.flush()
            what = f"{fault.kind} {fault.target}{' ends' if step.event == 'end' else ''}"
            remark = f" ({detail})" if detail else ""
            self._progress.phase(f"{done_s - self._start_s:.2f} s: {what}{remark}")

    def release(self) -> None:
        """Have processes that are halted go on, for a halted one cannot end."""
        self._hands.release()


class _TestbedHands:
    def __init__(self, plan: Plan, testbed: Testbed) -> None:
        self._plan = plan
        self._testbed = testbed
        self._processes = testbed.processes
        self._halted: set[str] = set()

    def kill(self, process: str) -> str:
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.kill(process)
        return ""

    def dismiss(self, process: str) -> str:
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.dismiss(process)
        return ""

    def start_instance(self, name: str) -> str:
        if self._processes.is_running(name):
            return f"{name} ran already"
        self._testbed.start_instance(name)
        return ""

    def start_control(self, site: str) -> str:
        if self._processes.is_running(f"control@{site}"):
            return f"control@{site} ran already"
        self._testbed.start_control(site)
        return ""

    def signal(self, process: str, number: signal.Signals) -> str:
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.signal(process, number)
        (self._halted.add if number is signal.SIGSTOP else self._halted.discard)(process)
        return ""

    def release(self) -> None:
        for process in self._halted:
            self._processes.signal(process, signal.SIGCONT)
        self._halted.clear()

    def set_state(self, instance: str, state: str) -> str:
        if not self._processes.is_running(instance):
            return f"{instance} did not run"
        item = next(item for item in self._plan.instances if item.name == instance)
        address = str(self._plan.addresses.host(item.host).ipv4.ip)
        connection = http.client.HTTPConnection(address, process_configs.ADMIN_PORT)
        pid = self._testbed.network.pid(item.host)
        with closing(namespaces.socket_in(pid, socket.AF_INET, socket.SOCK_STREAM)) as opened:
            opened.settimeout(_ADMIN_TIMEOUT_S)
            try:
                opened.connect((address, process_configs.ADMIN_PORT))
                connection.sock = opened
                connection.request("PUT", f"/state/{state}")
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                return f"{instance} did not answer: {error}"
        return "" if answer.status == http.HTTPStatus.OK else f"{instance} answered {answer.status}"

    def cut(self, a: str, b: str) -> str:
        self._testbed.network.cut(a, b)
        return ""

    def mend(self, a: str, b: str) -> str:
        self._testbed.network.mend(a, b)
        return ""
