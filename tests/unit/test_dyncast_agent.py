"""The metric agent: when it tells, and what."""

from __future__ import annotations

import pytest

from testbed.dyncast import codec
from testbed.dyncast.agent import AgentBinding, MetricAgent
from testbed.dyncast.metrics import RawMetrics, State
from tests.dyncast_samples import D_SID, NEAR

_BINDING = AgentBinding(D_SID, NEAR)
_RAW = RawMetrics(4, utilisation=0.5)


def test_the_first_report_is_due_at_once_and_then_every_interval() -> None:
    agent = MetricAgent("east", [_BINDING], interval_s=2)
    agent.observe(_BINDING, _RAW)
    assert agent.is_due(100)
    (first,) = agent.reports(100)
    assert (first.site, first.sequence, first.sent_s) == ("east", 1, 100)
    assert not agent.is_due(101.9)
    assert agent.next_due_s(101.9) == 102
    (second,) = agent.reports(102.3)  # late
    assert second.sequence == 2
    assert agent.next_due_s(103) == 104  # no drift


def test_intervals_that_were_missed_are_left_out() -> None:
    agent = MetricAgent("east", [_BINDING], interval_s=2)
    agent.reports(100)
    agent.reports(109)
    assert agent.next_due_s(109) == 110


def test_nothing_is_told_before_anything_was_seen() -> None:
    agent = MetricAgent("east", [_BINDING], interval_s=2)
    assert agent.reports(0) == []


@pytest.mark.parametrize(
    ("raw", "draining", "state", "score"),
    [(_RAW, False, State.UP, 5), (_RAW, True, State.DRAINING, 5), (None, False, State.DOWN, 0)],
)
def test_the_state_is_what_was_seen_last(raw: RawMetrics | None, draining: bool, state: State, score: int) -> None:
    agent = MetricAgent("east", [_BINDING], interval_s=2)
    agent.observe(_BINDING, RawMetrics(1))
    agent.observe(_BINDING, raw, draining)
    (report,) = agent.reports(0)
    (told,) = report.bindings
    assert (told.state, told.raw, told.score) == (state, raw, score)


def test_a_large_site_tells_in_several_packets_with_numbers_of_their_own() -> None:
    bindings = [AgentBinding(D_SID, NEAR + number) for number in range(60)]
    agent = MetricAgent("east", bindings, interval_s=2)
    for binding in bindings:
        agent.observe(binding, _RAW)
    reports = agent.reports(0) + agent.reports(2)
    assert len(reports) >= 4
    assert [report.sequence for report in reports] == list(range(1, len(reports) + 1))
    assert all(codec.decode(codec.encode(report)) == report for report in reports)


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="interval_s must be > 0, not 0"):
        MetricAgent("east", [], interval_s=0)
