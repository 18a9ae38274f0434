"""Instances of a simulation: their queues, what their admin ports would report, their true states for the oracle."""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush

from testbed.dyncast.metrics.levels import RawMetrics
from testbed.net.addresses import Address
from testbed.queueing.smoothed_service_time import SmoothedServiceTime
from testbed.queueing.work_queue import Accepted, WorkQueue
from testbed.simulation.network import Network


class Instance:
    """A queue, and what its admin port would say."""

    def __init__(self, network: Network, site: str) -> None:
        self._queue = WorkQueue(network.workers[site], network.queue_limit)
        self._service_time = SmoothedServiceTime(network.mean_work_s)
        self._started = 0

    def offer(self, now_s: float, work_s: float) -> Accepted | None:
        """Take in a job, unless the queue is full."""
        job = self._queue.offer(now_s, work_s)
        self._started += job is not None
        return job

    def on_done(self, job: Accepted) -> None:
        """Handle the end of a job."""
        self._service_time.add(job)

    def metrics(self, now_s: float) -> RawMetrics:
        """Return the metrics that it reports now."""
        queue = self._queue
        busy, waiting = queue.busy_workers(now_s), queue.queue_length(now_s)
        return RawMetrics(
            queue.workers, busy, waiting, queue.queue_limit, busy + waiting, self._started,
            queue.utilisation(now_s), self._service_time.value_s,
        )  # fmt: skip


class TrueStates:
    """The queues themselves, and the flows that have been sent and not arrived."""

    def __init__(self, instances: dict[Address, Instance]) -> None:
        self._instances = instances
        self._arrivals_s: dict[Address, list[float]] = defaultdict(list)

    def of(self, d_bid: Address, now_s: float) -> RawMetrics:
        """Return the true state of an instance."""
        return self._instances[d_bid].metrics(now_s)

    def send(self, d_bid: Address, arrives_s: float) -> None:
        """Count a flow as under way to an instance until it arrives."""
        heappush(self._arrivals_s[d_bid], arrives_s)

    def under_way(self, d_bid: Address, now_s: float) -> int:
        """Return how many flows are under way to an instance."""
        arrivals_s = self._arrivals_s[d_bid]
        while arrivals_s and arrivals_s[0] <= now_s:
            heappop(arrivals_s)
        return len(arrivals_s)
