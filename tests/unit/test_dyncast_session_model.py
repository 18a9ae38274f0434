"""What an ingress expects an instance to have on its hands by now."""

from __future__ import annotations

import math

import pytest

from testbed.dyncast.metrics import RawMetrics
from testbed.dyncast.session_model import SessionModel
from tests.dyncast_samples import FAR, NEAR


def reported(sessions: int, started: int, utilisation: float = 0.5) -> RawMetrics:
    return RawMetrics(4, sessions=sessions, sessions_started=started, utilisation=utilisation)


def test_what_was_reported_is_believed_while_nothing_else_is_known() -> None:
    model = SessionModel()
    assert model.expected_sessions("render", NEAR, reported=5, age_s=3, now_s=10) == 5
    assert model.unseen(NEAR) == 0
    assert (model.load_per_session("render"), model.holding_time_s("render")) == (1.0, math.inf)


def test_flows_given_since_the_report_count_until_a_report_can_have_seen_them() -> None:
    model = SessionModel()
    model.on_report("render", NEAR, reported(5, 5), measured_s=10, travel_s=0.1)
    model.on_given(NEAR, 10.5)
    model.on_given(NEAR, 10.95)
    model.on_given(FAR, 10.5)
    assert model.expected_sessions("render", NEAR, reported=5, age_s=1, now_s=11) == 7
    model.on_report("render", NEAR, reported(6, 6), measured_s=11, travel_s=0.1)
    assert model.unseen(NEAR) == 1  # the flow of 10.95 was still on its way
    assert model.unseen(FAR) == 1


def steady(model: SessionModel, *, holding_s: float, rate: int, until_s: int, sessions: int) -> None:
    """Reports of an instance in a steady state of sessions = rate x holding time."""
    assert sessions == rate * holding_s
    for now_s in range(until_s + 1):
        model.on_report("render", NEAR, reported(sessions, rate * now_s), measured_s=now_s, travel_s=0)


def test_the_holding_time_follows_from_littles_law() -> None:
    model = SessionModel()
    steady(model, holding_s=3, rate=4, until_s=30, sessions=12)
    assert model.holding_time_s("render") == pytest.approx(3)


def test_in_a_steady_state_others_replace_what_ends() -> None:
    model = SessionModel()
    steady(model, holding_s=3, rate=4, until_s=100, sessions=12)
    assert model.expected_sessions("render", NEAR, 12, age_s=0, now_s=100) == pytest.approx(12)
    assert model.expected_sessions("render", NEAR, 12, age_s=2, now_s=102) == pytest.approx(12, rel=0.01)


def test_old_sessions_fade_when_nobody_starts_new_ones() -> None:
    model = SessionModel()
    model.on_report("render", NEAR, reported(0, 0), measured_s=0, travel_s=0)
    for _ in range(4):
        model.on_given(NEAR, 0.5)
    model.on_report("render", NEAR, reported(4, 4), measured_s=1, travel_s=0)
    holding_s = model.holding_time_s("render")
    assert holding_s == pytest.approx(0.5)  # two on average over that second, four started
    later = model.expected_sessions("render", NEAR, 4, age_s=1, now_s=2)
    assert later == pytest.approx(4 * math.exp(-1 / holding_s))


@pytest.mark.parametrize(("utilisation", "load"), [(0.5, 2 / 8), (0.0, 0.0)])
def test_the_load_of_a_session_is_the_worker_time_it_keeps_busy(utilisation: float, load: float) -> None:
    model = SessionModel()
    for now_s in range(3):
        model.on_report("calls", NEAR, reported(8, now_s, utilisation), measured_s=now_s, travel_s=0)
    assert model.load_per_session("calls") == pytest.approx(load)
    assert model.load_per_session("render") == 1.0  # another service learns for itself


def test_a_session_keeps_at_most_one_worker_busy() -> None:
    model = SessionModel()
    for now_s in range(3):
        model.on_report("render", NEAR, reported(1, now_s, utilisation=1.0), measured_s=now_s, travel_s=0)
    assert model.load_per_session("render") == 1.0


def test_an_instance_that_begins_anew_does_not_confuse_the_counts() -> None:
    model = SessionModel()
    steady(model, holding_s=3, rate=4, until_s=30, sessions=12)
    model.on_report("render", NEAR, reported(0, 0), measured_s=31, travel_s=0)
    assert model.holding_time_s("render") == pytest.approx(3)
    assert model.expected_sessions("render", NEAR, 0, age_s=0, now_s=31) == 0
