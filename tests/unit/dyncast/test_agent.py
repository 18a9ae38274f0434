"""The metric agent: when it tells, and what."""

from __future__ import annotations

import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.metric_agent.agent import AgentBinding, MetricAgent
from testbed.dyncast.metric_agent.conditions import Threshold
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.levels import RawMetrics, Scores, State
from testbed.dyncast.metrics.normalisation import MinMax, Normalisation
from testbed.net.token_bucket import Rate
from tests.dyncast_samples import D_SID, NEAR

_BINDING = AgentBinding(D_SID, NEAR)
_RAW = RawMetrics(4, utilisation=0.5)


def test_the_first_report_is_due_at_once_and_then_every_interval() -> None:
    agent = MetricAgent("east", [_BINDING], Reporting(refresh_s=2), start_s=100)
    assert agent.next_timer_s(100) == 100
    agent.observe(_BINDING, _RAW, False, 100.1)
    (first,) = agent.reports(100.1)
    assert (first.site, first.sequence, first.sent_s) == ("east", 1, 100.1)
    assert agent.reports(101.9) == []
    assert agent.next_timer_s(101.9) == 102
    (second,) = agent.reports(102.3)  # late
    assert second.sequence == 2
    assert agent.next_timer_s(103) == 104  # no drift


def test_intervals_that_were_missed_are_left_out() -> None:
    agent = MetricAgent("east", [_BINDING], Reporting(refresh_s=2), start_s=100)
    agent.observe(_BINDING, _RAW, False, 100)
    assert len(agent.reports(100)) == 1
    assert len(agent.reports(109)) == 1
    assert agent.next_timer_s(109) == 110


def test_nothing_is_told_before_anything_was_seen() -> None:
    agent = MetricAgent("east", [_BINDING], Reporting(refresh_s=2), start_s=100)
    assert agent.reports(100) == []


@pytest.mark.parametrize(
    ("raw", "draining", "state", "score"),
    [(_RAW, False, State.UP, 5), (_RAW, True, State.DRAINING, 5), (None, False, State.DOWN, 0)],
)
def test_the_state_is_what_was_seen_last(raw: RawMetrics | None, draining: bool, state: State, score: int) -> None:
    agent = MetricAgent("east", [_BINDING], Reporting(refresh_s=2), start_s=100)
    agent.observe(_BINDING, RawMetrics(1), False, 100)
    agent.observe(_BINDING, raw, draining, 100)
    (report,) = agent.reports(100)
    (told,) = report.bindings
    assert (told.state, told.raw, told.score) == (state, raw, score)


def test_a_large_site_tells_in_several_packets_with_numbers_of_their_own() -> None:
    bindings = [AgentBinding(D_SID, NEAR + number) for number in range(60)]
    agent = MetricAgent("east", bindings, Reporting(refresh_s=2), start_s=0)
    for binding in bindings:
        agent.observe(binding, _RAW, False, 0)
    reports = agent.reports(0) + agent.reports(2)
    assert len(reports) >= 4
    assert [report.sequence for report in reports] == list(range(1, len(reports) + 1))
    assert all(codec.decode(codec.encode(report)) == report for report in reports)


def test_only_what_is_due_is_told_between_refreshes() -> None:
    other = AgentBinding(D_SID, NEAR + 1)
    agent = MetricAgent("east", [_BINDING, other], Reporting(10, Threshold("queue_length", absolute=5)), start_s=0)
    for binding in (_BINDING, other):
        agent.observe(binding, RawMetrics(4, queue_limit=50), False, 0)
    assert [len(report.bindings) for report in agent.reports(0)] == [2]
    agent.observe(other, RawMetrics(4, queue_length=5, queue_limit=50), False, 1)
    (report,) = agent.reports(1)
    assert [told.d_bid for told in report.bindings] == [other.d_bid]
    (refresh,) = agent.reports(10)
    assert len(refresh.bindings) == 2
    assert agent.counters == {"told_state": 2, "told_change": 1, "told_refresh": 2, "reports_held_back": 0}


def test_a_binding_is_scored_as_its_service_says() -> None:
    by_cpu = Normalisation(computing=(MinMax("cpu_utilisation", worst=1, best=0),), service=())
    binding = AgentBinding(D_SID, NEAR, by_cpu)
    agent = MetricAgent("east", [binding], Reporting(1), start_s=0)
    agent.observe(binding, RawMetrics(4, utilisation=1, cpu_utilisation=0.3), False, 0)
    (report,) = agent.reports(0)
    assert report.bindings[0].scores == Scores(computing=7, overall=7)


def test_a_site_too_large_for_its_budget_tells_of_all_by_and_by_the_longest_untold_first() -> None:
    bindings = [AgentBinding(D_SID, NEAR + number) for number in range(60)]
    agent = MetricAgent("east", bindings, Reporting(100, budget=Rate(2, burst=1)), start_s=0)
    for binding in bindings:
        agent.observe(binding, _RAW, False, 0)
    told: list[object] = []
    now_s, times = 0.0, 0
    while len(told) < 60:
        times += 1
        assert times < 20
        for report in agent.reports(now_s):
            told += [binding.d_bid for binding in report.bindings]
        assert agent.reports(now_s) == []
        now_s = agent.next_timer_s(now_s)
    assert told == [binding.d_bid for binding in bindings]
    assert agent.next_timer_s(now_s) == 100
    agent.observe(bindings[50], None, False, now_s + 1)  # going down jumps the queue of a refresh
    assert agent.reports(100)[0].bindings[0].d_bid == bindings[50].d_bid


def test_changes_do_not_keep_refreshes_from_going() -> None:
    """Every binding but one changes all the time; the budget has room for a fraction of them."""
    bindings = [AgentBinding(D_SID, NEAR + number) for number in range(40)]
    reporting = Reporting(10, Threshold("queue_length", absolute=1), Rate(2, burst=1))
    agent = MetricAgent("east", bindings, reporting, start_s=0)
    told_s: dict[object, float] = {}
    longest_s = 0.0
    for number in range(600):
        now_s = number / 10
        for binding in bindings:
            length = number if binding is not bindings[-1] else 0
            agent.observe(binding, RawMetrics(4, queue_length=length, queue_limit=1000), False, now_s)
        for report in agent.reports(now_s):
            for told in report.bindings:
                longest_s = max(longest_s, now_s - told_s.get(told.d_bid, now_s))
                told_s[told.d_bid] = now_s
    assert len(told_s) == 40
    assert max(longest_s, *(60 - last_s for last_s in told_s.values())) < 15
