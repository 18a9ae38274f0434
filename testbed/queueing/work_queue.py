"""A c-worker FIFO queue with a bounded waiting room, in virtual time.

Owns the model behind a service instance whose work is done by the clock (`mode: clock`): when a job that
arrives now would start and finish, and how loaded the workers are. Pure: the time comes in with every
call, nobody is woken; the instance sets its own timers at the finish times it gets.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple

UTILISATION_WINDOW_S = 1.0


class Accepted(NamedTuple):
    """When a job that was taken starts and finishes, in seconds on the caller's clock."""

    start_s: float
    finish_s: float


class SlidingUtilisation:
    """The busy share of worker time over the last `window_s` seconds, exactly.

    Keeps one breakpoint of the busy-time integral per change within the window; amortised O(1).
    """

    def __init__(self, workers: int, window_s: float = UTILISATION_WINDOW_S) -> None:
        self._workers = workers
        self._window_s = window_s
        # (time, busy worker seconds until then, workers busy from then on)
        self._breakpoints: deque[tuple[float, float, int]] = deque([(float("-inf"), 0.0, 0)])

    def change(self, time_s: float, busy_workers: int) -> None:
        """Record that `busy_workers` are busy from `time_s` (not before the last change) on."""
        self._breakpoints.append((time_s, self._busy_seconds(time_s, -1), busy_workers))
        # A busy process may go unasked for long: forgetting must not wait for a reader.
        self._forget_before(time_s - self._window_s)

    def share(self, now_s: float) -> float:
        """Return the busy share, 0..1, of the window that ends `now_s`; before the first change all was idle."""
        since_s = now_s - self._window_s
        self._forget_before(since_s)
        busy_s = self._busy_seconds(now_s, -1) - self._busy_seconds(since_s, 0)
        return min(1.0, max(0.0, busy_s / (self._workers * self._window_s)))

    def _forget_before(self, since_s: float) -> None:
        while len(self._breakpoints) > 1 and self._breakpoints[1][0] <= since_s:
            self._breakpoints.popleft()

    def _busy_seconds(self, time_s: float, index: int) -> float:
        """Read the integral at `time_s`, which the breakpoint `index` is the last one before."""
        at_s, integral, busy = self._breakpoints[index]
        return integral + busy * (time_s - at_s) if busy else integral


class WorkQueue:
    """`workers` servers, first come first served, at most `queue_limit` jobs waiting.

    Times are seconds on one clock. It never runs backwards: an earlier `now_s` counts as the latest one
    seen. Every call costs O(log n) amortised over the jobs. Raises ValueError for a size that makes no queue.
    """

    def __init__(self, workers: int, queue_limit: int, window_s: float = UTILISATION_WINDOW_S) -> None:
        if workers < 1:
            raise ValueError(f"workers must be >= 1, not {workers}")
        if queue_limit < 0:
            raise ValueError(f"queue_limit must be >= 0, not {queue_limit}")
        self.workers = workers
        self.queue_limit = queue_limit
        self._completed = 0
        self._refused = 0
        self._now_s = float("-inf")
        self._free_s = [float("-inf")] * workers  # heap: when each worker has done all its work
        self._starts_s: deque[float] = deque()  # of the waiting jobs; FIFO, so in order
        self._finishes_s: list[float] = []  # heap, of the jobs in the system
        self._utilisation = SlidingUtilisation(workers, window_s)

    def offer(self, now_s: float, service_s: float) -> Accepted | None:
        """Take in a job that needs `service_s` (>= 0) of one worker; None: refused, the waiting room is full."""
        if not service_s >= 0:
            raise ValueError(f"service_s must be >= 0, not {service_s}")
        now_s = self._advance(now_s)
        if self._free_s[0] > now_s and len(self._starts_s) >= self.queue_limit:
            self._refused += 1
            return None
        start_s = max(now_s, self._free_s[0])
        job = Accepted(start_s, start_s + service_s)
        heapq.heapreplace(self._free_s, job.finish_s)
        heapq.heappush(self._finishes_s, job.finish_s)
        self._starts_s.append(start_s)
        self._advance(now_s)
        return job

    def busy_workers(self, now_s: float) -> int:
        """Return how many workers are serving at `now_s`."""
        self._advance(now_s)
        return self._busy()

    def queue_length(self, now_s: float) -> int:
        """Return how many jobs wait for a worker at `now_s`."""
        self._advance(now_s)
        return len(self._starts_s)

    def utilisation(self, now_s: float) -> float:
        """Return the busy share of worker time, 0..1, over the window that ends `now_s`."""
        return self._utilisation.share(self._advance(now_s))

    def completed(self, now_s: float) -> int:
        """Return how many jobs have finished by `now_s`."""
        self._advance(now_s)
        return self._completed

    @property
    def refused(self) -> int:
        """How many jobs found the waiting room full."""
        return self._refused

    def _busy(self) -> int:
        return len(self._finishes_s) - len(self._starts_s)

    def _advance(self, now_s: float) -> float:
        """Let starts and finishes up to `now_s` happen, in their order; return the time it now is."""
        self._now_s = now_s = max(now_s, self._now_s)
        starts, finishes = self._starts_s, self._finishes_s
        while finishes:
            # At a tie the finish comes first: it is what frees the worker for the start.
            if finishes[0] <= now_s and (not starts or finishes[0] <= starts[0]) and self._busy() > 0:
                time_s = heapq.heappop(finishes)
                self._completed += 1
            elif starts and starts[0] <= now_s:
                time_s = starts.popleft()
            else:
                break
            self._utilisation.change(time_s, self._busy())
        return now_s
