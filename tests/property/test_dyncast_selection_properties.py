"""Choosing without looking at all instances gives what looking at all of them would give."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from testbed.dyncast import policies
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.policies import Candidate, LeastCost, Policy
from testbed.dyncast.policies.dyncast import DyncastPolicy
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.selection import REFRESH_INTERVAL_S, Selection
from testbed.dyncast.selection.session_model import SessionModel
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from tests.dyncast_samples import D_SID, HERE, NEAR, THERE, candidate, shares, told

_LIFETIME_S = 3.0
_RAW = st.builds(
    RawMetrics,
    workers=st.integers(1, 4),
    queue_limit=st.integers(0, 20),
    sessions=st.integers(0, 30),
    sessions_started=st.integers(0, 300),
    utilisation=st.floats(0, 1),
    service_time_s=st.sampled_from((0.0, 0.1)) | st.floats(0, 1),
)
_INSTANCE = st.integers(0, 5)


class WeightsOnly(Policy):
    """What the author of a policy has to write at least; goes by what it gave so far."""

    def weights(self, candidates: list[Candidate], now_s: float) -> dict[Address, float]:  # type: ignore[override]  # noqa: ARG002
        least = min(item.unreported for item in candidates)
        return {item.d_bid: float(item.unreported == least) for item in candidates}


class Choosing(RuleBasedStateMachine):
    """One D-SID with instances here and there. Whenever a service learns anew, a refresh is due."""

    @initialize(policy=st.sampled_from((*sorted(policies.POLICIES), "weights only")), seed=st.integers(0, 9))
    def begin(self, policy: str, seed: int) -> None:
        self.policy = WeightsOnly() if policy == "weights only" else policies.create(policy)
        self.bindings = BindingTable(_LIFETIME_S)
        self.paths = {THERE: PathState(THERE, 20.0)}
        self.sessions = SessionModel()
        self.view = InstanceView(NodeState(HERE, self.bindings, self.paths, self.sessions), "render", D_SID)
        self.selection = Selection(self.view, self.policy, Random(seed))
        self.sequence = 0
        self.now_s = self.measured_s = 100.0

    @rule(passed_s=st.floats(REFRESH_INTERVAL_S * 1.01, 2 * _LIFETIME_S), rtt_s=st.none() | st.floats(0, 1))
    def time_passes(self, passed_s: float, rtt_s: float | None) -> None:
        if rtt_s is not None:
            self.paths[THERE].on_reply(rtt_s, self.now_s)
        self.now_s += passed_s

    @rule()
    def reports_are_of_now(self) -> None:
        self.measured_s = self.now_s

    @rule(number=_INSTANCE, raw=st.none() | _RAW)
    def a_report_arrives(self, number: int, raw: RawMetrics | None) -> None:
        self.sequence += 1
        site = THERE if number % 2 else HERE
        report = Report(f"{site}", self.sequence, self.measured_s, (told(NEAR + number, raw),))
        assert self.bindings.apply(report, self.now_s)
        before = self.sessions.holding_time_s("render"), self.sessions.load_per_session("render")
        if raw is not None:
            self.sessions.on_report("render", NEAR + number, raw, self.measured_s, travel_s=0.0)
        self.selection.on_reported(NEAR + number)
        if before != (self.sessions.holding_time_s("render"), self.sessions.load_per_session("render")):
            self.now_s += REFRESH_INTERVAL_S * 1.01

    @rule(number=_INSTANCE, flows=st.integers(1, 20))
    def the_switch_gave_flows(self, number: int, flows: int) -> None:
        self.selection.on_assigned(NEAR + number, flows, self.now_s)

    @rule(barred=st.sets(_INSTANCE, max_size=2) | st.just(frozenset[int]()), flows=st.integers(1, 5))
    def flows_arrive(self, barred: set[int], flows: int) -> None:
        for _ in range(flows):
            self._choose({NEAR + number for number in barred})

    def _choose(self, barred: set[Address]) -> None:
        usable = [self.view.candidate(binding, self.now_s) for binding in self.view.usable(self.now_s)]
        assert self.selection.available(self.now_s) == len(usable)
        allowed = [item for item in usable if item.d_bid not in barred]
        weights = self.policy.weights(allowed, self.now_s) if allowed else {}
        costs = {item.d_bid: self.policy.cost(item) for item in allowed if isinstance(self.policy, LeastCost)}
        assert set(self.selection.shares(8, self.now_s)) <= {item.d_bid for item in usable}
        choice = self.selection.choose(self.now_s, lambda d_bid: d_bid in barred)
        if choice is None:
            assert not allowed
            return
        if costs:
            assert costs[choice.d_bid] - min(costs.values()) <= 1e-6
        else:
            assert weights[choice.d_bid] > 0
        assert choice.considered == len(usable)
        assert {item.candidate.d_bid for item in choice.weighed} == {item.d_bid for item in usable}
        (chosen,) = (item for item in choice.weighed if item.candidate.d_bid == choice.d_bid)
        assert chosen.weight > 0
        binding = self.bindings.get(D_SID, choice.d_bid)
        assert binding is not None
        assert choice.metrics_age_s == self.now_s - binding.measured_s


Choosing.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestChoosing = Choosing.TestCase


@st.composite
def _candidates(draw: st.DrawFn) -> list[Candidate]:
    raws = draw(st.lists(_RAW, min_size=1, max_size=6))
    return [candidate(NEAR + number, raw, rtt_s=draw(st.sampled_from((0, 0.02)))) for number, raw in enumerate(raws)]


@given(_candidates(), st.integers(6, 40))
def test_shares_are_those_of_flows_given_one_by_one(candidates: list[Candidate], flows: int) -> None:
    policy = DyncastPolicy()
    given_so_far = dict.fromkeys(range(len(candidates)), 0)
    for _ in range(flows):
        after = {number: policy.cost(candidates[number].with_more(more)) for number, more in given_so_far.items()}
        given_so_far[min(after, key=lambda number: (after[number], given_so_far[number], number))] += 1
    assert shares(policy, candidates, flows) == {
        candidates[number].d_bid: more for number, more in given_so_far.items() if more
    }


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 100)), max_size=20),
    st.floats(0, 3),
    st.lists(st.floats(0, 5), min_size=1, max_size=5),
)
def test_flows_that_stay_are_carried_along_as_if_summed_anew(
    batches: list[tuple[float, int]], reported_s: float, pauses_s: list[float]
) -> None:
    asked_along, asked_once = SessionModel(), SessionModel()
    for given_s, flows in sorted(batches):
        for model in (asked_along, asked_once):
            model.on_assigned(NEAR, given_s, flows)
        asked_along.expected(NEAR, 0, given_s)
    for model in (asked_along, asked_once):
        model.on_report("render", NEAR, RawMetrics(1), reported_s, travel_s=0)
        model.on_report("render", NEAR, RawMetrics(1, sessions=4, sessions_started=2), reported_s + 1, travel_s=1)
    now_s = max([given_s for given_s, _ in batches], default=0.0)
    for pause_s in pauses_s:
        now_s += pause_s
        asked_along.expected(NEAR, 3, now_s)
    along, once = (model.expected(NEAR, 3, now_s) for model in (asked_along, asked_once))
    assert along.sessions == pytest.approx(once.sessions, rel=1e-9, abs=1e-9)
    assert asked_along.unreported(NEAR) == sum(flows for given_s, flows in batches if given_s > reported_s)
