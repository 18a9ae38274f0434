"""What the D-MAs of many sites report of instances under load: in virtual time, before anything is measured.

The agents, their update triggers and the queues are the project's own; arrivals are Poisson, work is exponential. Each
instance draws from a generator of its own, so that two ways of reporting see the same load.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv4Network
from itertools import cycle
from random import Random
from typing import NamedTuple

from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metric_agent.agent import AgentBinding, MetricAgent
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.queueing.smoothed_service_time import SmoothedServiceTime
from testbed.queueing.work_queue import Accepted, WorkQueue

_WORKERS, _QUEUE_LIMIT, _MEAN_WORK_S = 4, 50, 0.25
_LOADS = (0.5, 0.7, 0.8, 0.9)  # of workers, one instance after the other


_FIRST_HOST = 10
_POLL_S = 1e-4  # what a poll takes; so a refresh that is due at it is due


@dataclass(frozen=True)
class Site:
    """A site, the network of its instances, and how many they are."""

    name: str
    prefix: IPv4Network
    instances: int

    @property
    def d_bids(self) -> list[IPv4Address]:
        """Return the addresses of the instances."""
        return [self.prefix.network_address + _FIRST_HOST + number for number in range(self.instances)]


class SentReport(NamedTuple):
    """A report, and when it is sent, from the beginning."""

    at_s: float
    report: Report


class _LoadedInstance:
    """One instance whose load goes on by itself."""

    def __init__(self, load: float, rng: Random) -> None:
        self._rng = rng
        self._rate_per_s = load * _WORKERS / _MEAN_WORK_S
        self._queue = WorkQueue(_WORKERS, _QUEUE_LIMIT)
        self._service_time = SmoothedServiceTime(_MEAN_WORK_S)
        self._served: list[tuple[float, Accepted]] = []
        self._started = 0
        self._next_s = rng.expovariate(self._rate_per_s)

    def metrics(self, now_s: float) -> RawMetrics:
        """Return what its admin port would say; `now_s` never runs backwards."""
        while self._next_s <= now_s:
            job = self._queue.offer(self._next_s, self._rng.expovariate(1 / _MEAN_WORK_S))
            if job is not None:
                self._started += 1
                heappush(self._served, (job.finish_s, job))
            self._next_s += self._rng.expovariate(self._rate_per_s)
        while self._served and self._served[0][0] <= now_s:
            self._service_time.add(heappop(self._served)[1])
        busy, waiting = self._queue.busy_workers(now_s), self._queue.queue_length(now_s)
        service_time_s = self._service_time.value_s
        return RawMetrics(
            _WORKERS, busy, waiting, _QUEUE_LIMIT, busy + waiting, self._started, self._queue.utilisation(now_s),
            service_time_s, cpu_utilisation=busy / _WORKERS, memory_bytes=14_000_000, memory_limit_bytes=8_000_000_000,
            capacity_per_s=_WORKERS / service_time_s, throughput_bps=1e5 * busy,
        )  # fmt: skip


def sent_reports(
    sites: list[Site],
    d_sid: IPv4Address,
    reporting: Reporting,
    poll_interval_s: float,
    duration_s: float,
    seed: int = 1,
) -> Iterator[SentReport]:
    """Yield the reports of all sites in the order of their times; at first each reports everything."""
    agents = []
    for number, site in enumerate(sites):
        start_s = number * poll_interval_s / len(sites)  # D-MAs do not start at the same moment
        bindings = [AgentBinding(d_sid, d_bid) for d_bid in site.d_bids]
        instances = [
            _LoadedInstance(load, Random(f"{seed} {binding.d_bid}"))
            for load, binding in zip(cycle(_LOADS), bindings, strict=False)
        ]
        agents.append((start_s, MetricAgent(site.name, bindings, reporting, start_s), instances))
    for poll in range(int(duration_s / poll_interval_s)):
        for start_s, agent, instances in agents:
            now_s = start_s + poll * poll_interval_s + _POLL_S
            for binding, instance in zip(agent.bindings, instances, strict=True):
                agent.observe(binding, instance.metrics(now_s), draining=False, now_s=now_s)
            for report in agent.reports(now_s):
                yield SentReport(now_s, report)
