"""The estimate of a queue is finite and sensible for any queue, and near the truth for an M/M/c queue."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.queueing.queue_estimate import Queue, QueueEstimate, beyond

_QUEUES = st.builds(
    Queue,
    workers=st.integers(1, 64) | st.integers(1, 2**32 - 1),
    service_s=st.just(0.0) | st.floats(1e-6, 1e3),
    holding_s=st.just(math.inf) | st.floats(1e-6, 1e4),
    load_per_session=st.floats(0, 1),
    arrivals_per_s=st.floats(0, 1e6),
)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e3))
def test_what_is_beyond_a_limit_is_a_mean_and_a_probability(
    mean: float, variance: float, limit: float, more: float
) -> None:
    excess, probability = beyond(mean, variance, limit)
    assert excess >= max(0.0, mean - limit) * (1 - 1e-9) - 1e-6
    assert 0 <= probability <= 1
    further, likelier = beyond(mean + more, variance, limit)
    assert further >= excess * (1 - 1e-9) - 1e-6
    assert likelier >= probability


def test_what_is_beyond_a_limit_for_sure_is_the_difference() -> None:
    assert beyond(7, 0, 4) == (3, 1)
    assert beyond(4, 0, 4) == beyond(1, 0, 4) == (0, 0)
    assert beyond(4, 1, 4) == (pytest.approx(1 / math.sqrt(2 * math.pi)), 0.5)


@given(_QUEUES, st.integers(0, 2**32 - 1), st.lists(st.floats(0, 1e4), max_size=5))
def test_an_estimate_stays_finite(queue: Queue, sessions: int, pauses_s: list[float]) -> None:
    estimate = QueueEstimate(sessions, 0.0)
    now_s = 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        estimate.advance(queue, now_s)
        assert 0 <= estimate.mean < math.inf
        assert 0 <= estimate.variance < math.inf
    assert estimate.as_of_s == now_s


def test_time_does_not_run_backwards() -> None:
    estimate = QueueEstimate(3, 10.0)
    estimate.advance(Queue(4, 0.1, math.inf, 1.0, 30.0), 9.0)
    assert (estimate.mean, estimate.variance, estimate.as_of_s) == (3, 0, 10.0)


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 32])
@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("found", [0.0, 2.0])
def test_in_the_long_run_it_is_near_the_mean_of_an_mmc_queue(workers: int, rho: float, found: float) -> None:
    estimate = QueueEstimate(found * workers, 0.0)
    queue = Queue(workers, 0.1, math.inf, 1.0, rho * workers / 0.1)
    for number in range(1, 2001):
        estimate.advance(queue, number / 10)
    assert estimate.mean == pytest.approx(_mean_sessions(workers, rho), rel=0.3)


@pytest.mark.parametrize("found", [0, 4, 20])
def test_asked_once_or_often_the_answer_is_about_the_same(found: int) -> None:
    queue = Queue(4, 0.1, math.inf, 1.0, 32.0)
    once, often = QueueEstimate(found, 0.0), QueueEstimate(found, 0.0)
    for number in range(1, 101):
        often.advance(queue, number / 200)
    once.advance(queue, 0.5)
    assert once.mean == pytest.approx(often.mean, rel=0.1)
    assert once.variance == pytest.approx(often.variance, rel=0.3)


def _mean_sessions(workers: int, rho: float) -> float:
    """Return the mean number in an M/M/c system, by Erlang's C formula."""
    offered = rho * workers
    blocked = 1.0
    for servers in range(1, workers + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    waits = blocked / (1 - rho * (1 - blocked))
    return offered + waits * rho / (1 - rho)
