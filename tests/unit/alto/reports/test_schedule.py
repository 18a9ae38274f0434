"""When reporters report: all in each interval, and not all at once."""

from __future__ import annotations

from testbed.alto.reports.schedule import Schedule


def test_a_reporter_reports_once_in_each_interval() -> None:
    schedule = Schedule("east", 2.0, 100.0)
    first_s = schedule.next_s
    assert 100.0 <= first_s < 102.0
    assert not schedule.take_due(first_s - 0.01)
    assert schedule.take_due(first_s) and not schedule.take_due(first_s)
    assert schedule.next_s == first_s + 2.0


def test_one_that_was_held_up_owes_nothing() -> None:
    schedule = Schedule("east", 1.0, 100.0)
    first_s = schedule.next_s
    assert schedule.take_due(first_s + 7.4)
    assert first_s + 7.4 < schedule.next_s <= first_s + 8.4


def test_reporters_are_spread_over_the_interval() -> None:
    moments = sorted(Schedule(f"site-{number}", 1.0, 0.0).next_s for number in range(100))
    assert moments[10] < 0.25 and moments[90] > 0.75
