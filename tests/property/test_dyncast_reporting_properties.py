"""Whatever instances do: budgets are kept, changes are told in time, soft state is refreshed, flapping is dampened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metric_agent.agent import AgentBinding, MetricAgent
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.net.token_bucket import Rate
from tests.dyncast_samples import D_SID, NEAR

_POLL_S = 0.1
_REFRESH_S = 2.0
_DAMPENING = Dampening(half_life_s=2, suppress=3, reuse=1, max_suppress_s=8)
_TRIGGERS = st.none() | st.sampled_from(
    (
        Threshold("queue_length", absolute=5),
        Threshold("queue_length", relative=0.3, hysteresis_share=0.5),
        Band(),
        Band(tuple(range(1, 11)), hysteresis_points=1),
    )
)
# What each of two instances says at one poll: nothing (down), or its queue length and whether it drains.
_LOOKS = st.none() | st.tuples(st.integers(0, 20), st.booleans())
_POLLS = st.lists(st.tuples(_LOOKS, _LOOKS), min_size=1, max_size=80)
_BINDINGS = [AgentBinding(D_SID, NEAR), AgentBinding(D_SID, NEAR + 1)]


def run(reporting: Reporting, polls: list[tuple[tuple[int, bool] | None, ...]]) -> list[list[Report]]:
    """Return the reports after each poll."""
    agent = MetricAgent("east", _BINDINGS, reporting, start_s=0)
    sent = []
    for number, looks in enumerate(polls):
        now_s = number * _POLL_S
        for binding, look in zip(_BINDINGS, looks, strict=True):
            raw = RawMetrics(4, queue_length=look[0], queue_limit=20) if look else None
            agent.observe(binding, raw, bool(look and look[1]), now_s)
        sent.append(agent.reports(now_s))
    return sent


@given(_TRIGGERS, st.none() | st.just(_DAMPENING), st.floats(0.2, 20), st.integers(1, 5), _POLLS)
def test_the_budget_is_kept_over_every_stretch_of_time(
    trigger: Threshold | Band | None, dampening: Dampening | None, per_s: float, burst: int, polls: list
) -> None:
    sent = run(Reporting(_REFRESH_S, trigger, Rate(per_s, burst), dampening), polls)
    times_s = [report.sent_s for reports in sent for report in reports]
    for first in range(len(times_s)):
        for last in range(first, len(times_s)):
            allowed = burst + per_s * (times_s[last] - times_s[first])
            assert last - first + 1 <= allowed + 1e-6


@given(_TRIGGERS, _POLLS)
def test_what_is_known_is_never_further_off_than_the_way_of_reporting_allows(
    trigger: Threshold | Band | None, polls: list
) -> None:
    known = {}
    told_s = {}
    for number, (looks, reports) in enumerate(zip(polls, run(Reporting(_REFRESH_S, trigger), polls), strict=True)):
        for report in reports:
            for told in report.bindings:
                known[told.d_bid], told_s[told.d_bid] = told, report.sent_s
        for binding, look in zip(_BINDINGS, looks, strict=True):
            told = known[binding.d_bid]
            state = State.DOWN if look is None else State.DRAINING if look[1] else State.UP
            assert told.state is state
            if look is None:
                continue
            assert number * _POLL_S - told_s[binding.d_bid] < _REFRESH_S + 1e-6
            assert told.raw is not None
            moved = abs(look[0] - told.raw.queue_length)
            if isinstance(trigger, Threshold) and trigger.absolute is not None:
                assert moved < trigger.absolute
            if isinstance(trigger, Threshold) and trigger.relative is not None:
                assert moved < trigger.relative * 1.5 * told.raw.queue_length or moved == 0


@given(_TRIGGERS, _POLLS)
def test_dampening_never_leads_flows_to_an_instance_that_is_down_or_drains_and_ends_with_the_flapping(
    trigger: Threshold | Band | None, polls: list
) -> None:
    calm = [((3, False), (3, False))] * int((_DAMPENING.max_suppress_s + _REFRESH_S) / _POLL_S + 2)
    sent = run(Reporting(_REFRESH_S, trigger, dampening=_DAMPENING), polls + calm)
    known = {}
    for looks, reports in zip(polls + calm, sent, strict=True):
        known |= {told.d_bid: told for report in reports for told in report.bindings}
        for binding, look in zip(_BINDINGS, looks, strict=True):
            if look is None or look[1]:
                assert known[binding.d_bid].state is not State.UP
    for told in known.values():
        assert told.state is State.UP
        assert told.raw is not None
        assert told.raw.queue_length == 3


@given(st.integers(2, 6))
def test_of_a_metric_that_flaps_all_the_time_little_but_refreshes_is_told(period: int) -> None:
    looks = [(20 * (number // period % 2), False) for number in range(300)]
    trigger = Threshold("queue_length", absolute=5)
    plain = run(Reporting(_REFRESH_S, trigger), list(zip(looks, looks, strict=True)))
    dampened = run(Reporting(_REFRESH_S, trigger, dampening=_DAMPENING), list(zip(looks, looks, strict=True)))
    refreshes = 300 * _POLL_S / _REFRESH_S
    assert sum(map(len, plain)) >= 300 // period
    assert sum(map(len, dampened)) <= refreshes + 5


@given(_TRIGGERS, st.none() | st.just(_DAMPENING), _POLLS)
def test_nothing_expires_between_refreshes_though_reports_tell_of_a_part(
    trigger: Threshold | Band | None, dampening: Dampening | None, polls: list
) -> None:
    table = BindingTable(lifetime_s=_REFRESH_S + 1e-6)
    for number, reports in enumerate(run(Reporting(_REFRESH_S, trigger, dampening=dampening), polls)):
        now_s = number * _POLL_S
        # Just before these reports come, all else is at its oldest.
        told_up = [binding for binding in table.all() if binding.state is State.UP]
        assert all(table.is_usable(binding, now_s) for binding in told_up)
        assert all(table.apply(report, now_s) for report in reports)
