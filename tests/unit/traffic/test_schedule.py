"""The schedule, and how its keeping is summed up."""

from __future__ import annotations

import pytest

from traffic.arrivals.schedule import Schedule
from traffic.send_accuracy import SendAccuracy


def test_runs_what_is_due_in_order_and_files_repetitions_again():
    schedule = Schedule()
    ran: list[tuple[str, float]] = []

    def repeating(now_s: float) -> float | None:
        ran.append(("repeating", now_s))
        return now_s + 1 if now_s < 3 else None

    def once(now_s: float) -> None:
        ran.append(("once", now_s))

    schedule.add(2.0, once)
    schedule.add(1.0, repeating)
    schedule.run(0.5)
    assert ran == []
    assert schedule.next_due_s == 1.0
    schedule.run(2.0)
    assert ran == [("repeating", 2.0), ("once", 2.0)]
    assert schedule.next_due_s == 3.0
    schedule.run(3.0)
    assert schedule.next_due_s is None


def test_equal_times_run_in_the_order_they_were_added():
    schedule = Schedule()
    ran: list[int] = []
    for number in range(5):
        schedule.add(1.0, lambda _, number=number: ran.append(number))
    schedule.run(1.0)
    assert ran == [0, 1, 2, 3, 4]


def test_an_action_added_by_an_action_runs_in_the_same_pass_if_due():
    schedule = Schedule()
    ran: list[str] = []
    schedule.add(1.0, lambda now_s: schedule.add(now_s, lambda _: ran.append("added")))
    schedule.run(1.0)
    assert ran == ["added"]


def test_pace_on_time():
    accuracy = SendAccuracy()
    for number in range(101):
        accuracy.due(number / 100)
        accuracy.sent(number / 100, number / 100 + 0.001)
    summary = accuracy.summary()
    assert summary["requested"] == summary["achieved"] == 101
    assert summary["requested_rate_per_s"] == pytest.approx(100)
    assert summary["achieved_rate_per_s"] == pytest.approx(100, rel=0.002)
    lateness = summary["lateness_ms"]
    assert lateness["median"] == pytest.approx(1, rel=0.01)
    assert lateness["max"] == pytest.approx(1)


def test_pace_that_falls_behind_achieves_less():
    accuracy = SendAccuracy()
    for number in range(101):
        accuracy.due(number / 100)
        accuracy.sent(number / 100, number / 50)
    assert accuracy.summary()["achieved_rate_per_s"] == pytest.approx(50)


def test_pace_that_fails_to_send_achieves_less():
    accuracy = SendAccuracy()
    for number in range(100):
        accuracy.due(number / 100)
        if number % 4 == 0:
            accuracy.sent(number / 100, number / 100)
    assert accuracy.summary()["achieved_rate_per_s"] == pytest.approx(25)


def test_an_empty_pace_has_no_rates():
    assert SendAccuracy().summary() == {
        "requested": 0,
        "achieved": 0,
        "requested_rate_per_s": None,
        "achieved_rate_per_s": None,
        "lateness_ms": {"median": None, "p99": None, "max": None},
    }
