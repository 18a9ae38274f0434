"""What is known of a run at a moment: loads, flows from ingress to site, how they fare, faults, doubts.

`LiveReader` reads what the processes write as it grows: it asks nobody, so it changes nothing. Which flows go where is
read by systems. Knows nothing of who shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.experiment.execution.environment import CpuTimes
from testbed.experiment.fidelity import fidelity
from testbed.experiment.live.flow_rates import FlowRates, Second, Window
from testbed.experiment.live.tail import Tail
from testbed.experiment.plan.plan import Plan
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.progress import InstanceLoad
from testbed.experiment.system import systems

_SILENT_S = 3.0  # an instance writes a sample each half second
_CPU_WINDOW_S = 2.0
_CPU_LEAST_S = 1.0  # the kernel counts in hundredths of a second

Row = Mapping[str, str]


@dataclass(frozen=True)
class LiveFault:
    """A fault of the scenario; times in seconds since the start of the load, None until it has come to that."""

    planned: PlannedFault
    began_s: float | None = None
    ended_s: float | None = None
    remark: str = ""

    @property
    def is_on(self) -> bool:
        """Whether it has begun and not ended."""
        return self.began_s is not None and self.ended_s is None


@dataclass(frozen=True)
class LiveState:
    """A run at a moment. `doubts`: what would make it less than `valid`, as far as can be seen yet."""

    elapsed_s: float
    duration_s: float
    loads: Mapping[str, InstanceLoad]
    silent: frozenset[str]
    window: Window
    outcomes: Mapping[str, int]
    history: Mapping[int, Second]
    faults: tuple[LiveFault, ...]
    cpu_share: float | None
    doubts: tuple[str, ...]

    @property
    def left_s(self) -> float:
        """How long flows will go on to arrive."""
        return max(0.0, self.duration_s - max(0.0, self.elapsed_s))


class LiveReader:
    """Read the run that writes to `work`, and whose load starts at `start_s`."""

    def __init__(self, plan: Plan, work: Path, start_s: float) -> None:
        self._plan = plan
        self._start_s = start_s
        self._rates = FlowRates(start_s)
        self._instances = frozenset(item.name for system in systems() for item in system.instances(plan))
        self._faults = {fault.number: LiveFault(fault) for fault in plan.faults}
        self._cpu: deque[tuple[float, CpuTimes]] = deque()

        self._flows = [system.live_flows(plan, work, self._rates) for system in systems()]
        self._fault_tail = Tail(work, "faults", "faults")

    def read(self, now_s: float, loads: Sequence[InstanceLoad]) -> LiveState:
        """Take in what was written since the last time; return what is known now. `loads`: the latest of instances."""
        for flows in self._flows:
            flows.read()
        for row in self._fault_tail.rows():
            self._take_fault(row)
        window = self._rates.window(now_s)
        cpu_share = self._cpu_share(now_s)
        known = {load.name: load for load in loads}
        reporting = {name for name, load in known.items() if now_s - load.time_s < _SILENT_S}
        return LiveState(
            elapsed_s=now_s - self._start_s,
            duration_s=self._plan.scenario.duration_s,
            loads=known,
            silent=frozenset(self._instances - reporting),
            window=window,
            outcomes=dict(self._rates.outcomes),
            history=self._rates.history(now_s),
            faults=tuple(self._faults.values()),
            cpu_share=cpu_share,
            doubts=tuple(_doubts(window, cpu_share)),
        )

    def close(self) -> None:
        """Let go of the files."""
        self._fault_tail.close()
        for flows in self._flows:
            flows.close()

    def _cpu_share(self, now_s: float) -> float | None:
        """Return the busy share of all cores during the last seconds; None until there were enough."""
        self._cpu.append((now_s, CpuTimes.now()))
        while self._cpu[0][0] < now_s - _CPU_WINDOW_S and len(self._cpu) > 2:
            self._cpu.popleft()
        (first_s, first), (_, last) = self._cpu[0], self._cpu[-1]
        return last.shares_since(first)[0] if now_s - first_s >= _CPU_LEAST_S else None

    def _take_fault(self, row: Row) -> None:
        fault = self._faults[int(row["number"])]
        at_s = float(row["time_s"]) - self._start_s
        began_s = at_s if row["event"] == "begin" else fault.began_s
        ended_s = at_s if row["event"] == "end" else fault.ended_s
        said = {"begin": "", "end": ""}.get(row["event"], f"{row['event']} at {at_s:.1f} s")
        remark = ": ".join(filter(None, (said, row["detail"])))
        self._faults[fault.planned.number] = LiveFault(fault.planned, began_s, ended_s, remark or fault.remark)


def _doubts(window: Window, cpu_share: float | None) -> Iterator[str]:
    late_ms = window.lateness.quantile_ms(0.99) or 0.0
    if late_ms > fidelity.GENERATOR_LATENESS_SUSPECT_MS:
        yield f"generators begin 1 % of flows more than {late_ms:.1f} ms late"
    if cpu_share is not None and cpu_share > fidelity.CPU_SUSPECT:
        yield f"all cores are {cpu_share:.0%} busy"
