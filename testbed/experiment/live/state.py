"""What is known of a run at a moment: loads, flows from ingress to site, how they fare, faults, doubts.

`LiveReader` reads what the processes write as it grows: it asks nobody, so it changes nothing. Which instance serves a
flow stands in the flow's own row where the client was told (HTTP) or chose the address itself; else in the decision of
its ingress; and where the switch binds flows by itself, they are spread by the weights that it was told last. Knows
nothing of who shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.experiment.execution.environment import CpuTimes
from testbed.experiment.fidelity import fidelity
from testbed.experiment.live.flow_rates import FlowRates, Second, Window
from testbed.experiment.live.tail import Tail
from testbed.experiment.plan.fault_plan import PlannedFault
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import InstanceLoad

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
        self._site_of = {item.name: item.site for item in plan.instances}
        self._site_of_d_bid = {item.d_bid: item.site for item in plan.instances}
        self._ingress_of = {client.name: client.site for client in plan.clients}
        self._ingress_of_address = {
            str(address.ip): client.site
            for client in plan.clients
            for host in [plan.addresses.host(client.name)]
            for address in (host.ipv4, host.ipv6)
        }
        self._by_decisions, self._by_weights = _without_answers(plan)
        self._weights: dict[tuple[str, str], dict[str, int]] = {}
        self._faults = {fault.number: LiveFault(fault) for fault in plan.faults}
        self._cpu: deque[tuple[float, CpuTimes]] = deque()

        controls = [f"control@{name}" for name in (*plan.sites, *plan.dispatchers)]
        self._flow_tails = [Tail(work, "flows", client.name) for client in plan.clients]
        self._decision_tails = [Tail(work, "decisions", name) for name in controls if self._by_decisions]
        self._weight_tails = [Tail(work, "weights", name) for name in controls if self._by_weights]
        self._fault_tail = Tail(work, "faults", "faults")

    def read(self, now_s: float, loads: Sequence[InstanceLoad]) -> LiveState:
        """Take in what was written since the last time; return what is known now. `loads`: the latest of instances."""
        for row in _all(self._weight_tails):
            self._weights.setdefault((row["d_router"], row["d_sid"]), {})[row["d_bid"]] = int(row["weight"])
        for row in _all(self._decision_tails):
            self._take_decision(row)
        for row in _all(self._flow_tails):
            self._take_flow(row)
        for row in self._fault_tail.rows():
            self._take_fault(row)
        window = self._rates.window(now_s)
        cpu_share = self._cpu_share(now_s)
        known = {load.name: load for load in loads}
        heard = {name for name, load in known.items() if now_s - load.time_s < _SILENT_S}
        return LiveState(
            elapsed_s=now_s - self._start_s,
            duration_s=self._plan.scenario.duration_s,
            loads=known,
            silent=frozenset(self._site_of.keys() - heard),
            window=window,
            outcomes=dict(self._rates.outcomes),
            history=self._rates.history(now_s),
            faults=tuple(self._faults.values()),
            cpu_share=cpu_share,
            doubts=tuple(_doubts(window, cpu_share)),
        )

    def close(self) -> None:
        """Let go of the files."""
        for tail in (*self._flow_tails, *self._decision_tails, *self._weight_tails, self._fault_tail):
            tail.close()

    def _cpu_share(self, now_s: float) -> float | None:
        """Return the busy share of all cores during the last seconds; None until there were enough."""
        self._cpu.append((now_s, CpuTimes.now()))
        while self._cpu[0][0] < now_s - _CPU_WINDOW_S and len(self._cpu) > 2:
            self._cpu.popleft()
        (first_s, first), (_, last) = self._cpu[0], self._cpu[-1]
        return last.shares_since(first)[0] if now_s - first_s >= _CPU_LEAST_S else None

    def _take_decision(self, row: Row) -> None:
        by_site = self._by_decisions.get(row["d_sid"])
        if by_site is None or (by_site and row["d_bid"]):
            return  # of a service whose flows tell by themselves; or the egress's own choice for a flow counted before
        ingress = self._ingress_of_address.get(row["src"], row["d_router"])
        self._rates.steered(float(row["time_s"]), ingress, self._site_of_d_bid.get(row["d_bid"], row["egress"]))

    def _take_flow(self, row: Row) -> None:
        time_s = float(row["finished_s"] or row["due_s"])
        self._rates.ended(time_s, row["outcome"], float(row["completion_ms"]) if row["completion_ms"] else None)
        if row["started_s"] and row["due_s"]:
            late_ms = (float(row["started_s"]) - float(row["due_s"])) * 1e3 - float(row["resolution_ms"] or 0)
            self._rates.began_late(time_s, late_ms)
        if row["d_sid"] in self._by_decisions:
            return
        ingress = self._ingress_of[row["client"]]
        site = self._site_of.get(row["instance"]) or self._site_of_d_bid.get(row["dst"])
        if site is not None:
            self._rates.steered(time_s, ingress, site)
        elif row["d_sid"] in self._by_weights:
            weights = self._weights.get((ingress, row["d_sid"]), {})
            total = sum(weights.values())
            for d_bid, weight in weights.items():
                if weight and d_bid in self._site_of_d_bid:
                    self._rates.steered(time_s, ingress, self._site_of_d_bid[d_bid], weight / total)

    def _take_fault(self, row: Row) -> None:
        fault = self._faults[int(row["number"])]
        at_s = float(row["time_s"]) - self._start_s
        began_s = at_s if row["event"] == "begin" else fault.began_s
        ended_s = at_s if row["event"] == "end" else fault.ended_s
        said = {"begin": "", "end": ""}.get(row["event"], f"{row['event']} at {at_s:.1f} s")
        remark = ": ".join(filter(None, (said, row["detail"])))
        self._faults[fault.planned.number] = LiveFault(fault.planned, began_s, ended_s, remark or fault.remark)


def _without_answers(plan: Plan) -> tuple[dict[str, bool], frozenset[str]]:
    """Return, by D-SID, the services whose flows do not tell who serves them.

    First those that D-Routers decide on, flow by flow (and whether that is about sites); then those that switches bind.
    """
    by_decisions: dict[str, bool] = {}
    by_weights = set()
    for name, service in plan.scenario.services.items():
        if service.kind == "http" or plan.scenario.policy_of(name) == DNS_TTL:
            continue
        if service.affinity.mode == "datapath":
            by_weights.add(str(service.d_sid))
        else:
            by_decisions[str(service.d_sid)] = service.choice == "site"
    return by_decisions, frozenset(by_weights)


def _all(tails: Sequence[Tail]) -> Iterator[Row]:
    for tail in tails:
        yield from tail.rows()


def _doubts(window: Window, cpu_share: float | None) -> Iterator[str]:
    late_ms = window.lateness.quantile_ms(0.99) or 0.0
    if late_ms > fidelity.GENERATOR_LATENESS_SUSPECT_MS:
        yield f"generators begin 1 % of flows more than {late_ms:.1f} ms late"
    if cpu_share is not None and cpu_share > fidelity.CPU_SUSPECT:
        yield f"all cores are {cpu_share:.0%} busy"
