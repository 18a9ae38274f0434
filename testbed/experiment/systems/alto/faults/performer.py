"""Function delivery's faults while the load goes on: each performed at its begin and its end.

A cluster that comes back is brought what it held before the load, once it serves.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from testbed.agents.alto_server.falsehood import Falsehood, WrongDelay
from testbed.errors import TestbedError
from testbed.experiment.faults.steps import Happening, Step
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.systems.alto.faults.operations import AltoOperations, RunOperations
from testbed.experiment.systems.alto.keys import fault as kinds
from testbed.experiment.systems.alto.keys.fault import AltoFaultKeys


class Refill(Protocol):
    """Functions on their way to a cluster that came back."""

    def begin(self) -> None:
        """Ask for them."""

    def are_over(self) -> bool:
        """Return whether all have come."""

    @property
    def missing(self) -> str:
        """What has not."""


def perform(step: Step, operations: AltoOperations, server: str) -> str:
    """Perform a step that is all there is to it; return what there is to remark."""
    fault, begins = step.fault, step.event == "begin"
    if fault.kind == kinds.CLUSTER_KILLED:
        return operations.kill(fault.instance) if begins else operations.start_cluster(fault.instance)
    if fault.kind == kinds.CONTAINER_KILLED:
        return operations.kill_container(fault.instance)
    if fault.kind == kinds.ALTO_SILENT:
        return operations.signal(server, signal.SIGSTOP if begins else signal.SIGCONT)
    assert fault.kind == kinds.CODE_CORRUPT
    return operations.spoil(fault.target)


def falsehood(active: Sequence[tuple[str, AltoFaultKeys]], pids: Mapping[str, str]) -> Falsehood:
    """Return what an ALTO server is to say wrongly while these faults last; `pids`: by site."""
    delays = [
        WrongDelay(pids[keys.between[0]], pids[keys.between[1]], keys.factor, keys.delay_ms)
        for kind, keys in active
        if kind == kinds.ALTO_WRONG_COST and keys.between is not None
    ]
    is_stale = any(kind == kinds.ALTO_STALE for kind, _ in active)
    return Falsehood("former" if is_stale else "present", tuple(delays))


class FaultPerformer:
    """The faults of a run. `refill`: of a cluster; None: it held nothing."""

    def __init__(
        self,
        operations: RunOperations,
        keys: Sequence[FaultKeys],
        pids: Mapping[str, str],
        server: str,
        refill: Callable[[str], Refill | None],
    ) -> None:
        self._operations, self._keys, self._pids, self._server = operations, keys, pids, server
        self._refill = refill
        self._active: dict[int, tuple[str, AltoFaultKeys]] = {}  # what the ALTO server is wrong about
        self._starting: dict[int, PlannedFault] = {}
        self._refilling: dict[int, tuple[PlannedFault, Refill]] = {}

    def perform(self, step: Step) -> str:
        """Perform a step."""
        fault = step.fault
        if fault.kind in (kinds.ALTO_STALE, kinds.ALTO_WRONG_COST):
            return self._say(step)
        remark = perform(step, self._operations, self._server)
        if fault.kind == kinds.CLUSTER_KILLED:
            self._refilling.pop(fault.number, None)
            if step.event == "end" and not remark:
                self._starting[fault.number] = fault
        return remark

    def step(self) -> Iterable[Happening]:
        """Have clusters that came back get what they held."""
        for number, fault in list(self._starting.items()):
            if self._operations.is_ready(fault.instance):
                del self._starting[number]
                yield from self._begin(fault)
        for number, (fault, refill) in list(self._refilling.items()):
            yield from self._continue(number, fault, refill)

    def end(self) -> Iterable[Happening]:
        """Have processes that are halted go on, for a halted one cannot end; say which clusters lack what they held."""
        self._operations.release()
        for fault in self._starting.values():
            yield Happening(fault, "unfinished", f"{fault.instance} does not serve yet")
        for fault, refill in self._refilling.values():
            yield Happening(fault, "unfinished", refill.missing)

    def _say(self, step: Step) -> str:
        number = step.fault.number
        if step.event == "begin":
            self._active[number] = step.fault.kind, AltoFaultKeys.of(self._keys[number])
        else:
            self._active.pop(number, None)
        return self._operations.say(falsehood(list(self._active.values()), self._pids))

    def _begin(self, fault: PlannedFault) -> Iterable[Happening]:
        refill = self._refill(fault.instance)
        if refill is None:
            yield Happening(fault, "restored", "")
            return
        try:
            refill.begin()
        except TestbedError as error:
            yield Happening(fault, "unfinished", str(error))
        else:
            self._refilling[fault.number] = fault, refill

    def _continue(self, number: int, fault: PlannedFault, refill: Refill) -> Iterable[Happening]:
        try:
            if not refill.are_over():
                return
            happened = Happening(fault, "restored", "")
        except TestbedError as error:
            happened = Happening(fault, "unfinished", str(error))
        del self._refilling[number]
        yield happened
