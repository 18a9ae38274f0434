"""The work queue against queueing theory: Lindley, FIFO, work conservation, Little, M/M/c."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.queueing.work_queue import Accepted, WorkQueue

# Eighths of a second are exact in binary, so that times that should be equal are equal.
_EIGHTHS = st.integers(0, 40).map(lambda eighths: eighths / 8)
_JOBS = st.lists(st.tuples(_EIGHTHS, _EIGHTHS), min_size=1, max_size=60)  # (gap before arrival, service time)
_WORKERS = st.integers(1, 4)


def arrivals_of(jobs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Turn gaps into arrival times."""
    return list(zip(accumulate(gap for gap, _ in jobs), (service for _, service in jobs), strict=True))


def run(queue: WorkQueue, jobs: list[tuple[float, float]]) -> list[tuple[float, float, Accepted]]:
    """Offer the jobs; return those taken, as (arrival, service time, times)."""
    offered = [(arrival_s, service_s, queue.offer(arrival_s, service_s)) for arrival_s, service_s in jobs]
    return [(arrival_s, service_s, job) for arrival_s, service_s, job in offered if job]


@given(_JOBS)
def test_one_worker_follows_the_lindley_recursion(jobs: list[tuple[float, float]]) -> None:
    taken = run(WorkQueue(1, len(jobs)), arrivals_of(jobs))
    wait_s = 0.0
    for number, (arrival_s, service_s, job) in enumerate(taken):
        assert job.start_s - arrival_s == wait_s
        if number + 1 < len(jobs):
            wait_s = max(0.0, wait_s + service_s - jobs[number + 1][0])


@given(_WORKERS, _JOBS)
def test_service_starts_in_order_of_arrival(workers: int, jobs: list[tuple[float, float]]) -> None:
    starts = [job.start_s for _, _, job in run(WorkQueue(workers, len(jobs)), arrivals_of(jobs))]
    assert starts == sorted(starts)


@given(_WORKERS, st.integers(0, 3), _JOBS)
def test_every_count_agrees_with_counting_by_hand(workers: int, limit: int, jobs: list[tuple[float, float]]) -> None:
    queue = WorkQueue(workers, limit)
    taken: list[Accepted] = []
    refused = 0
    for now_s, service_s in arrivals_of(jobs):
        busy = sum(job.start_s <= now_s < job.finish_s for job in taken)
        waiting = sum(job.start_s > now_s for job in taken)
        assert (queue.busy_workers(now_s), queue.queue_length(now_s)) == (busy, waiting)
        assert queue.completed(now_s) == sum(job.finish_s <= now_s for job in taken)
        assert busy <= workers
        assert waiting <= limit
        assert busy == workers or waiting == 0  # work conservation: none waits while a worker is idle
        job = queue.offer(now_s, service_s)
        assert (job is None) == (busy == workers and waiting >= limit)
        if job is None:
            refused += 1
        else:
            assert job.finish_s == job.start_s + service_s
            assert job.start_s >= now_s
            taken.append(job)
        assert queue.refused == refused


@given(_WORKERS, _JOBS, st.integers(0, 400).map(lambda eighths: eighths / 8))
def test_utilisation_agrees_with_adding_up_by_hand(
    workers: int, jobs: list[tuple[float, float]], after_s: float
) -> None:
    queue = WorkQueue(workers, len(jobs), window_s=2.0)
    arrivals = arrivals_of(jobs)
    taken = run(queue, arrivals)
    now_s = arrivals[-1][0] + after_s
    busy_s = sum(max(0.0, min(job.finish_s, now_s) - max(job.start_s, now_s - 2.0)) for _, _, job in taken)
    assert queue.utilisation(now_s) == pytest.approx(busy_s / (workers * 2.0), abs=1e-9)


def simulate(queue: WorkQueue, arrivals_per_s: float, count: int, seed: int) -> Iterator[tuple[float, Accepted | None]]:
    """Offer jobs of a Poisson process with exponential service times, 1 s on average; yield (arrival, times)."""
    rng = Random(seed)
    now_s = 0.0
    for _ in range(count):
        now_s += rng.expovariate(arrivals_per_s)
        yield now_s, queue.offer(now_s, rng.expovariate(1.0))


def erlang_c_wait_s(workers: int, load: float) -> float:
    """Return the mean wait of an M/M/c queue with mean service time 1 s."""
    offered = workers * load
    waiting = offered**workers / math.factorial(workers) / (1 - load)
    free = sum(offered**busy / math.factorial(busy) for busy in range(workers))
    return waiting / (free + waiting) / (workers * (1 - load))


@pytest.mark.parametrize(("workers", "load"), [(1, 0.5), (1, 0.7), (2, 0.6), (4, 0.6)])
def test_mean_wait_is_that_of_the_closed_form(workers: int, load: float) -> None:
    count = 80_000
    offered = simulate(WorkQueue(workers, count), load * workers, count, seed=workers)
    mean_wait_s = sum(job.start_s - arrival_s for arrival_s, job in offered if job) / count
    assert mean_wait_s == pytest.approx(erlang_c_wait_s(workers, load), rel=0.08)


@pytest.mark.parametrize(("workers", "load"), [(1, 0.7), (4, 0.8)])
def test_littles_law_holds_for_what_the_queue_says_of_itself(workers: int, load: float) -> None:
    """L = lambda W, with L sampled from the queue's own counts and W from the times it gave."""
    rng = Random(11)
    queue = WorkQueue(workers, 10_000)
    count = 20_000
    sojourn_s = in_system_sum = samples = 0.0
    now_s = next_sample_s = 0.0
    for _ in range(count):
        now_s += rng.expovariate(load * workers)
        while next_sample_s < now_s:
            in_system_sum += queue.busy_workers(next_sample_s) + queue.queue_length(next_sample_s)
            samples += 1
            next_sample_s += 0.25
        job = queue.offer(now_s, rng.expovariate(1.0))
        assert job
        sojourn_s += job.finish_s - now_s
    arrival_rate = count / now_s
    assert in_system_sum / samples == pytest.approx(arrival_rate * sojourn_s / count, rel=0.03)


def test_a_loss_system_refuses_as_erlang_b_says() -> None:
    workers, offered, count = 4, 3.0, 60_000
    taken = sum(job is not None for _, job in simulate(WorkQueue(workers, 0), offered, count, seed=3))
    terms = [offered**busy / math.factorial(busy) for busy in range(workers + 1)]
    assert 1 - taken / count == pytest.approx(terms[-1] / sum(terms), rel=0.05)
