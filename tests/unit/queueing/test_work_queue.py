"""The work queue, by hand-made examples."""

from __future__ import annotations

import pytest

from testbed.queueing.work_queue import Accepted, SlidingUtilisation, WorkQueue


def test_an_idle_worker_starts_at_once() -> None:
    queue = WorkQueue(workers=1, queue_limit=0)
    assert queue.offer(10.0, 2.0) == Accepted(10.0, 12.0)


def test_jobs_wait_in_order_of_arrival() -> None:
    queue = WorkQueue(workers=2, queue_limit=5)
    jobs = [queue.offer(0.0, service_s) for service_s in (3.0, 1.0, 1.0, 1.0)]
    assert jobs == [Accepted(0, 3), Accepted(0, 1), Accepted(1, 2), Accepted(2, 3)]


def test_a_full_waiting_room_refuses_until_a_job_starts() -> None:
    queue = WorkQueue(workers=1, queue_limit=1)
    assert queue.offer(0.0, 1.0) and queue.offer(0.0, 1.0)
    assert queue.offer(0.5, 1.0) is None
    assert queue.refused == 1
    assert queue.offer(1.0, 1.0) == Accepted(2.0, 3.0)


def test_no_waiting_room_at_all_is_a_loss_system() -> None:
    queue = WorkQueue(workers=1, queue_limit=0)
    assert queue.offer(0.0, 1.0)
    assert queue.offer(0.999, 1.0) is None
    assert queue.offer(1.0, 1.0) == Accepted(1.0, 2.0)


def test_counts_at_any_time() -> None:
    queue = WorkQueue(workers=2, queue_limit=5)
    for _ in range(3):
        queue.offer(0.0, 1.0)
    assert (queue.busy_workers(0.0), queue.queue_length(0.0), queue.completed(0.0)) == (2, 1, 0)
    assert (queue.busy_workers(1.0), queue.queue_length(1.0), queue.completed(1.0)) == (1, 0, 2)
    assert (queue.busy_workers(2.0), queue.queue_length(2.0), queue.completed(2.0)) == (0, 0, 3)


def test_time_does_not_run_backwards() -> None:
    queue = WorkQueue(workers=1, queue_limit=5)
    queue.offer(5.0, 1.0)
    assert queue.completed(6.0) == 1
    assert queue.offer(4.0, 1.0) == Accepted(6.0, 7.0)


def test_a_job_of_no_work_finishes_when_it_starts() -> None:
    queue = WorkQueue(workers=1, queue_limit=2)
    assert queue.offer(0.0, 1.0) == Accepted(0, 1)
    assert queue.offer(0.0, 0.0) == Accepted(1, 1)
    assert queue.offer(0.0, 1.0) == Accepted(1, 2)
    assert (queue.busy_workers(1.0), queue.queue_length(1.0), queue.completed(1.0)) == (1, 0, 2)


def test_utilisation_is_the_busy_share_of_the_window() -> None:
    queue = WorkQueue(workers=2, queue_limit=0, window_s=1.0)
    queue.offer(0.0, 0.5)
    assert queue.utilisation(0.0) == 0.0
    assert queue.utilisation(0.25) == pytest.approx(0.125)
    assert queue.utilisation(1.0) == pytest.approx(0.25)
    assert queue.utilisation(1.25) == pytest.approx(0.125)
    assert queue.utilisation(1.5) == pytest.approx(0.0)


def test_utilisation_of_a_queue_that_was_long_left_alone() -> None:
    queue = WorkQueue(workers=1, queue_limit=100)
    for _ in range(100):
        queue.offer(0.0, 0.1)
    assert queue.utilisation(9.5) == pytest.approx(1.0)
    assert queue.utilisation(1000.0) == 0.0


def test_a_utilisation_that_nobody_reads_keeps_its_memory_small() -> None:
    utilisation = SlidingUtilisation(workers=1)
    for step in range(10_000):
        utilisation.change(step * 0.01, step % 2)
    assert len(utilisation._breakpoints) < 200
    assert utilisation.share(99.99) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("workers", "queue_limit", "message"), [(0, 1, "workers must be >= 1"), (1, -1, "queue_limit must be >= 0")]
)
def test_a_size_that_makes_no_queue_is_refused(workers: int, queue_limit: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkQueue(workers, queue_limit)


@pytest.mark.parametrize("service_s", [-1.0, float("nan")])
def test_a_service_time_that_is_none_is_refused(service_s: float) -> None:
    with pytest.raises(ValueError, match="service_s"):
        WorkQueue(1, 1).offer(0.0, service_s)
