"""Arrivals of a workload: each is taken once, and none before it is due."""

from __future__ import annotations

from traffic.arrivals.due_arrivals import DueArrivals
from traffic.arrivals.file import Arrival
from traffic.arrivals.schedule import Schedule

ARRIVALS = [Arrival(offset_s, 1.0) for offset_s in (0.0, 0.5, 0.5, 2.0)]


def scheduled(arrivals: list[Arrival]) -> tuple[Schedule, DueArrivals, list[tuple[int, float]]]:
    schedule, taken = Schedule(), []
    standing = DueArrivals(arrivals, schedule, lambda number, due_s: taken.append((number, due_s)))
    standing.begin(10.0)
    return schedule, standing, taken


def test_each_is_taken_when_its_time_has_come() -> None:
    schedule, _, taken = scheduled(ARRIVALS)
    schedule.run(9.9)
    assert taken == []
    schedule.run(10.0)
    assert taken == [(0, 10.0)]
    assert schedule.next_due_s == 10.5
    schedule.run(11.0)
    assert taken[1:] == [(1, 10.5), (2, 10.5)]
    schedule.run(20.0)
    assert taken[3:] == [(3, 12.0)]
    assert schedule.next_due_s is None


def test_those_that_are_due_and_were_not_taken_can_be_asked_for_once() -> None:
    schedule, standing, taken = scheduled(ARRIVALS)
    schedule.run(10.0)
    assert list(standing.due(10.7)) == [(1, 10.5), (2, 10.5)]
    assert list(standing.due(10.7)) == []
    schedule.run(20.0)
    assert taken == [(0, 10.0), (3, 12.0)]


def test_without_arrivals_nothing_is_ever_due() -> None:
    schedule, standing, _ = scheduled([])
    assert schedule.next_due_s is None
    assert list(standing.due(1e9)) == []
