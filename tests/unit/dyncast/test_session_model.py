"""What an ingress expects an instance to have on its hands by now."""

from __future__ import annotations

import math

import pytest

from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.selection.session_model import Expectation, SessionModel
from tests.dyncast_samples import FAR, NEAR


def reported(sessions: int, started: int, utilisation: float = 0.5) -> RawMetrics:
    return RawMetrics(4, sessions=sessions, sessions_started=started, utilisation=utilisation)


def sessions(model: SessionModel, now_s: float) -> float:
    return model.expected(NEAR, 0, now_s).sessions


def test_what_was_reported_is_believed_while_nothing_else_is_known() -> None:
    model = SessionModel()
    assert model.expected(NEAR, reported=5, now_s=10) == Expectation(5.0)
    model.on_report("render", NEAR, reported(7, 50), measured_s=10, travel_s=0)
    assert sessions(model, now_s=13) == 7
    assert model.unreported(NEAR) == 0
    assert (model.load_per_session("render"), model.holding_time_s("render")) == (1.0, math.inf)


def test_flows_given_since_the_report_count_until_a_report_can_have_seen_them() -> None:
    model = SessionModel()
    model.on_report("render", NEAR, reported(5, 5), measured_s=10, travel_s=0.1)
    model.on_assigned(NEAR, 10.5)
    model.on_assigned(NEAR, 10.95)
    model.on_assigned(FAR, 10.5)
    assert sessions(model, now_s=11) == 7
    assert model.expected(FAR, reported=5, now_s=11).sessions == 6
    model.on_report("render", NEAR, reported(6, 6), measured_s=11, travel_s=0.1)
    assert model.unreported(NEAR) == 1  # the flow of 10.95 was still on its way
    assert model.unreported(FAR) == 1


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
    assert sessions(model, now_s=100) == pytest.approx(12)
    assert sessions(model, now_s=102) == pytest.approx(12, rel=0.01)


def test_old_sessions_fade_when_nobody_starts_new_ones() -> None:
    model = SessionModel()
    model.on_report("render", NEAR, reported(0, 0), measured_s=0, travel_s=0)
    for _ in range(4):
        model.on_assigned(NEAR, 0.5)
    model.on_report("render", NEAR, reported(4, 4), measured_s=1, travel_s=0)
    holding_s = model.holding_time_s("render")
    assert holding_s == pytest.approx(0.5)  # two on average over that second, four started
    assert sessions(model, now_s=2) == pytest.approx(4 * math.exp(-1 / holding_s))


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
    assert sessions(model, now_s=31) == 0


# -- requests, each of which keeps a worker busy -------------------------------------------------------


def busy(sessions: int, started: int, service_time_s: float = 0.1, workers: int = 4) -> RawMetrics:
    """Requests on an instance, all of them served or waiting."""
    serving = min(sessions, workers)
    return RawMetrics(
        workers, serving, sessions - serving, 100, sessions, started, serving / workers, service_time_s
    )  # fmt: skip


def test_requests_end_no_faster_than_workers_serve_them() -> None:
    model = SessionModel()
    model.on_report("render", NEAR, busy(0, 0), measured_s=0, travel_s=0)
    model.on_assigned(NEAR, 0.5, flows=40)
    model.on_report("render", NEAR, busy(40, 40), measured_s=1, travel_s=0)
    assert model.load_per_session("render") == 1
    assert sessions(model, now_s=1.25) == pytest.approx(40 - 4 * 0.25 / 0.1, rel=0.01)


def test_streams_do_not_end_with_each_packet_that_is_served() -> None:
    model = SessionModel()
    for now_s in range(61):
        calls = RawMetrics(4, 1, 0, 100, sessions=30, sessions_started=now_s, utilisation=0.3, service_time_s=0.0002)
        model.on_report("calls", NEAR, calls, measured_s=now_s, travel_s=0)
    assert model.load_per_session("calls") == pytest.approx(1.2 / 30)
    assert model.holding_time_s("calls") == pytest.approx(30)
    assert sessions(model, now_s=70) == pytest.approx(30, rel=0.01)  # one a second begins, of 30 s each


def test_an_old_report_is_trusted_less_until_it_says_nothing() -> None:
    """Two instances alike, one found idle and one with a queue, are the same after a while."""
    model = SessionModel()
    for now_s in range(11):
        for d_bid, found in ((NEAR, 0), (FAR, 20)):
            model.on_report("render", d_bid, busy(found, 30 * now_s), measured_s=now_s, travel_s=0)
    idle, full = ([model.expected(d_bid, 0, 10 + age_s) for age_s in (0, 0.5, 30)] for d_bid in (NEAR, FAR))
    assert [idle[0].sessions, idle[0].variance, full[0].sessions, full[0].variance] == [0, 0, 20, 0]
    assert idle[0].sessions < idle[1].sessions < full[1].sessions < full[0].sessions
    assert 0 < idle[1].variance < idle[2].variance
    assert idle[2].sessions == pytest.approx(full[2].sessions, rel=0.05)
    assert idle[2].variance == pytest.approx(full[2].variance, rel=0.1)


def test_the_service_time_is_the_mean_of_many_reports() -> None:
    model = SessionModel()
    for number in range(61):
        model.on_report("render", NEAR, busy(2, 40 * number, (0.08, 0.12)[number % 2]), number, travel_s=0)
    assert model.expected(NEAR, 0, 60).service_time_s == pytest.approx(0.1, rel=0.03)


def test_a_mean_service_time_of_nearly_the_same_requests_is_little_news() -> None:
    often, seldom = SessionModel(), SessionModel()
    for model, started in ((often, 1), (seldom, 100)):
        model.on_report("render", NEAR, busy(2, 0, 0.1), 0, travel_s=0)
        for number in range(1, 11):
            model.on_report("render", NEAR, busy(2, started * number, 0.2), number, travel_s=0)
    assert often.expected(NEAR, 0, 10).service_time_s < 0.12
    assert seldom.expected(NEAR, 0, 10).service_time_s > 0.18


# -- others ------------------------------------------------------------------------------------------------


def with_others(per_own: float, steady: float, rounds: int = 60) -> SessionModel:
    """This ingress sends 0 to 9 requests between reports; others answer each by `per_own`, and send `steady` more."""
    model = SessionModel()
    started = 0.0
    for now_s in range(rounds):
        model.on_report("render", NEAR, busy(2, round(started)), measured_s=now_s, travel_s=0)
        own = now_s * 7 % 10
        for number in range(own):
            model.on_assigned(NEAR, now_s + number / 100)
        started += own * (1 + per_own) + steady
    return model


def test_others_that_do_as_we_do_count_with_each_flow_from_here() -> None:
    model = with_others(per_own=2, steady=0)
    assert model.expected(NEAR, 0, 60).herding_gain == pytest.approx(2, abs=0.1)
    before = sessions(model, now_s=60)
    model.on_assigned(NEAR, 60)
    assert sessions(model, now_s=60) == pytest.approx(before + 3, abs=0.1)


def test_others_that_go_their_own_way_do_not() -> None:
    assert with_others(per_own=0, steady=9).expected(NEAR, 0, 60).herding_gain == pytest.approx(0, abs=0.1)


def test_before_anything_is_known_others_are_taken_to_do_as_we_do() -> None:
    model = with_others(per_own=2, steady=0, rounds=3)
    assert model.expected(NEAR, 0, 2).herding_gain == pytest.approx(2, abs=0.01)
    assert with_others(per_own=0, steady=0).expected(NEAR, 0, 60).herding_gain == 0
