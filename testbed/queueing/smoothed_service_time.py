"""The mean service time that an instance reports: over its latest jobs."""

from __future__ import annotations

from testbed.queueing.work_queue import Accepted

_SMOOTHED_OVER = 64  # jobs; steering by the mean needs it within some per cent


class SmoothedServiceTime:
    """The mean of served times, exponentially weighted once there are enough; before the first, what is expected."""

    def __init__(self, expected_s: float) -> None:
        self.value_s = expected_s
        self._jobs = 0

    def add(self, job: Accepted) -> None:
        """Take in a job that has finished."""
        served_s = job.finish_s - job.start_s
        self._jobs = min(self._jobs + 1, _SMOOTHED_OVER)
        self.value_s += (served_s - self.value_s) / self._jobs
