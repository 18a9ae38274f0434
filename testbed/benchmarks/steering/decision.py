"""How fast an ingress chooses an instance, against looking at all of them for every flow.

Flows come at the rate that a reactive ingress can carry; every instance is reported on once a second. What reports and
the passing of time make necessary is in the figures, reading the reports is not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from random import Random
from statistics import quantiles

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, compare, measure
from testbed.dyncast import policies
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.policies import Policy
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.selection import Selection
from testbed.dyncast.selection.session_model import SessionModel
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address

_SIZES = (10, 100, 1000)
_FLOWS_PER_S = 5000
_REPORT_INTERVAL_S = 1.0
_INSTANCES_PER_SITE = 10
_GOAL = Goal(50, Better.LOWER)
_D_SID = ip_address("203.0.113.10")
_FIRST_D_BID = ip_address("10.1.0.0")
_BASELINE_S = 0.15


class _Service:
    """Instances at many sites, their reports, and the passing of time."""

    def __init__(self, instances: int) -> None:
        self.rng = Random(1)
        self.now_s = 0.0
        self.assigned: Counter[Address] = Counter()
        self.bindings = BindingTable(lifetime_s=10.0)
        self.sessions = SessionModel()
        self._sites: list[list[Address]] = [
            [_FIRST_D_BID + number for number in range(first, min(first + _INSTANCES_PER_SITE, instances))]
            for first in range(0, instances, _INSTANCES_PER_SITE)
        ]
        self._paths = {
            f"site-{number}": PathState(f"site-{number}", 5.0 + number) for number in range(len(self._sites))
        }
        for path in self._paths.values():
            path.on_reply(path.path_cost_ms / 1e3, 0.0)
        self._reports = 0
        self.view = InstanceView(NodeState("here", self.bindings, self._paths, self.sessions), "render", _D_SID)
        for _ in self._sites:
            self._report(lambda _: None)

    def pass_time(self, on_report: Callable[[Address], None]) -> None:
        """Go on to the next flow; sites report in turn."""
        self.now_s += 1 / _FLOWS_PER_S
        if self.now_s * len(self._sites) / _REPORT_INTERVAL_S > self._reports - len(self._sites):
            self._report(on_report)

    def _report(self, on_report: Callable[[Address], None]) -> None:
        number = self._reports % len(self._sites)
        self._reports += 1
        bindings = []
        for d_bid in self._sites[number]:
            load = self.rng.randrange(8)
            raw = RawMetrics(4, min(load, 4), 0, 50, load, self.assigned[d_bid], min(1.0, load / 4), 0.05)
            self.sessions.on_report("render", d_bid, raw, self.now_s, 0.005)
            bindings.append(report_of(_D_SID, d_bid, State.UP, raw))
        self.bindings.apply(Report(f"site-{number}", self._reports, self.now_s, tuple(bindings)), self.now_s)
        for d_bid in self._sites[number]:
            on_report(d_bid)


class _Incremental:
    """The project's way, with the time that each decision took."""

    def __init__(self, service: _Service, policy: Policy, decisions: int) -> None:
        self.p99_us: list[float] = []
        self.mean_us: list[float] = []
        self._service = service
        self._decisions = decisions
        self._selection = Selection(service.view, policy, service.rng)

    def per_s(self) -> float:
        took_ns = []
        for _ in range(self._decisions):
            self._service.pass_time(self._selection.on_reported)
            before_ns = time.perf_counter_ns()
            choice = self._selection.choose(self._service.now_s, lambda _: False)
            took_ns.append(time.perf_counter_ns() - before_ns)
            assert choice is not None
            self._service.assigned[choice.d_bid] += 1
        self.mean_us.append(sum(took_ns) / len(took_ns) / 1e3)
        self.p99_us.append(quantiles(took_ns, n=100)[-1] / 1e3)
        return 1e6 / self.mean_us[-1]


class _Straightforward:
    """Look at all instances, ask the policy for weights, draw."""

    def __init__(self, service: _Service, policy: Policy) -> None:
        self._service = service
        self._policy = policy

    def per_s(self) -> float:
        decisions, took_s = 0, 0.0
        while took_s < _BASELINE_S:
            self._service.pass_time(lambda _: None)
            before_s = time.perf_counter()
            self._choose(self._service.now_s)
            took_s += time.perf_counter() - before_s
            decisions += 1
        return decisions / took_s

    def _choose(self, now_s: float) -> None:
        service = self._service
        candidates = [service.view.candidate(binding, now_s) for binding in service.view.usable(now_s)]
        weights = self._policy.weights(candidates, now_s)
        (d_bid,) = service.rng.choices(list(weights), list(weights.values()))
        self._policy.on_chosen(d_bid)
        service.sessions.on_assigned(d_bid, now_s)
        service.assigned[d_bid] += 1


def _run(settings: Settings) -> Iterator[Row]:
    decisions = _FLOWS_PER_S // 2 if settings.quick else 2 * _FLOWS_PER_S
    for policy in sorted({*policies.POLICIES} - {policies.ORACLE}):  # which looks at all of them, and must
        for size in _SIZES[-1:] if settings.quick else _SIZES:
            name = f"decision/{policy}/{size}"
            ours = _Incremental(_Service(size), policies.create(policy), decisions)
            baseline = _Straightforward(_Service(size), policies.create(policy))
            note = "baseline: all candidates weighed for each flow"
            yield compare(name, "1/s", ours.per_s, baseline.per_s, settings.rounds, note=note)
            if size == _SIZES[-1]:
                note = f"per selection at {_FLOWS_PER_S} flows/s, refreshes included"
                yield measure(f"{name}/mean", "us", ours.mean_us, note=note, goal=_GOAL)
                yield measure(f"{name}/p99", "us", ours.p99_us, note=note)


BENCHMARK = Benchmark("decision", "selections of each policy at 10, 100, 1,000 instances", _run)
