"""The service of an instance's jobs: one pool of workers and one bounded FIFO queue.

Owns the interface of such a pool and the one that works by the clock: `WorkQueue` says when a job starts
and finishes, a timer of the event loop calls back at that time. The pool that burns CPU is in `burn.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from testbed.queueing.smoothed_service_time import SmoothedServiceTime
from testbed.queueing.work_queue import Accepted, WorkQueue


class Load(NamedTuple):
    """How loaded a pool is now; `completed` and `refused` count since its start."""

    busy_workers: int
    queue_length: int
    utilisation: float
    completed: int
    refused: int
    service_time_s: float


Done = Callable[[Accepted], None]


class Processor(Protocol):
    """A pool of workers."""

    def submit(self, work_s: float, done: Done) -> bool:
        """Take in a job of `work_s` at speed 1 and call `done` when it finishes; False: the queue is full."""

    def load(self) -> Load:
        """Return the load now."""

    def cpu_s(self) -> float:
        """Return the CPU time that workers of their own processes have used."""

    def check(self) -> None:
        """Raise ProcessFailure if the workers can serve no more."""

    def close(self) -> None:
        """Stop; jobs in the system are abandoned."""


class ClockProcessor:
    """Workers that do nothing for exactly as long as the work takes, so that many fit on few cores."""

    def __init__(self, workers: int, queue_limit: int, speed: float, expected_s: float) -> None:
        self._queue = WorkQueue(workers, queue_limit)
        self._speed = speed
        self._service_time = SmoothedServiceTime(expected_s / speed)
        self._loop = asyncio.get_running_loop()

    def submit(self, work_s: float, done: Done) -> bool:
        """Take in a job; see `Processor`."""
        job = self._queue.offer(self._loop.time(), work_s / self._speed)
        if job is None:
            return False
        self._loop.call_at(job.finish_s, self._finish, job, done)
        return True

    def load(self) -> Load:
        """Return the load now."""
        now_s, queue = self._loop.time(), self._queue
        return Load(
            busy_workers=queue.busy_workers(now_s),
            queue_length=queue.queue_length(now_s),
            utilisation=queue.utilisation(now_s),
            completed=queue.completed(now_s),
            refused=queue.refused,
            service_time_s=self._service_time.value_s,
        )

    def cpu_s(self) -> float:
        """Return 0: there are no worker processes."""
        return 0.0

    def check(self) -> None:
        """Do nothing: a model does not break."""

    def close(self) -> None:
        """Do nothing: pending timers go with the loop."""

    def _finish(self, job: Accepted, done: Done) -> None:
        self._service_time.add(job)
        done(job)
