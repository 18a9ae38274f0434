"""What an ingress expects of instances by now, from reports that are old already.

Pure. A report says how many sessions (requests, calls) an instance had when it was measured. Since then some ended,
this ingress sent new ones, and so did others. How a queue goes on from there is `queue_estimate`; what goes into it is
learnt here, from what changes between reports (`sessions_started` less what was sent from here is the others'):

* service time: the mean over the last ten reports' worth. An instance's own mean covers few sessions, and to take its
  noise at its word sends the flows of a whole interval to the instance that was lucky last;
* holding time, by Little's law, and workers kept busy per session, both per service;
* the rate of remote arrivals at each instance, from other ingresses, and what they send beyond it when this ingress
  sends beyond its local rate: an ingress that decides by the same reports in the same way herds with this one. That
  *herding gain* is the slope of the remote surplus over the local one (least squares), and at most what others send for
  each flow sent from here. Each flow from here then counts for 1 + herding gain.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from testbed.dyncast.metrics.levels import RawMetrics
from testbed.net.addresses import Address
from testbed.queueing.queue_estimate import Queue, QueueEstimate

_MEMORY = 0.9  # weight of what was known of an instance, against each new report
_GAIN_MEMORY = 0.99  # the same of the herding gain, which is learnt from all instances of a service
_GAIN_PRIOR = 10.0  # flows², until so much was seen the others are taken to do as we do
_ONE_JOB = 2.0  # service times; a session that takes less work than that is one request
_SMOOTHED_OVER = 127  # sessions that an instance's mean service time is of, in effect: 2 x its memory - 1


@dataclass
class _Service:
    serving_worker_s: float = 0.0
    busy_worker_s: float = 0.0  # and that of workers that waiting sessions will need
    reported_session_s: float = 0.0
    session_s: float = 0.0
    started: float = 0.0
    local: float = 0.0
    remote: float = 0.0
    local_surplus_squared: float = 0.0
    surplus_product: float = 0.0

    @property
    def holding_s(self) -> float:
        return self.session_s / self.started if self.started > 0 and self.session_s > 0 else math.inf

    @property
    def work_s(self) -> float:
        """The worker time that a session takes in all."""
        if self.started <= 0:
            return math.inf if self.session_s > 0 else 0.0
        return self.serving_worker_s / self.started

    @property
    def load_per_session(self) -> float:
        return min(1.0, self.busy_worker_s / self.reported_session_s) if self.reported_session_s > 0 else 1.0

    @property
    def herding_gain(self) -> float:
        if self.local <= 0:
            return 0.0
        most = self.remote / self.local
        slope = (self.surplus_product + _GAIN_PRIOR * most) / (self.local_surplus_squared + _GAIN_PRIOR)
        return min(most, max(0.0, slope))


@dataclass
class _Instance:
    unreported: int = 0
    assigned: deque[tuple[float, int]] = field(default_factory=deque)  # those that no report can have counted yet
    late: int = 0  # assigned before the last report, and known only after it
    service: _Service = field(default_factory=_Service)
    queue: Queue | None = None
    estimate: QueueEstimate | None = None
    measured_s: float = 0.0
    sessions: int = 0
    sessions_started: int = 0
    service_time_s: float = 0.0
    reports: int = 0  # since it began
    span_s: float = 0.0  # this and the next two: recent ones, all fading alike
    local: float = 0.0
    remote: float = 0.0

    def begin(self, raw: RawMetrics, measured_s: float) -> None:
        self.measured_s, self.sessions, self.sessions_started = measured_s, raw.sessions, raw.sessions_started
        self.estimate = QueueEstimate(raw.sessions, measured_s)
        of = self.service
        # A stream is served packet by packet, and does not end thereby.
        share = of.load_per_session if of.work_s < _ONE_JOB * self.service_time_s else 0.0
        self.queue = Queue(raw.workers, self.service_time_s, of.holding_s, share)
        if self.span_s > 0:
            self.queue.arrivals_per_s = max(0.0, self.remote - of.herding_gain * self.local) / self.span_s
        else:  # Nothing is known of the others yet: as many come as end.
            self.queue.arrivals_per_s = self.queue.ends_per_s(raw.sessions)
        for assigned_s, flows in self.assigned:
            self.add(flows, assigned_s)

    def add(self, flows: int, now_s: float) -> None:
        if self.estimate is not None:
            self.advance(self.estimate, now_s)
            self.estimate.mean += flows * (1 + self.service.herding_gain)

    def advance(self, estimate: QueueEstimate, now_s: float) -> None:
        if self.queue is not None:
            estimate.advance(self.queue, now_s)


class Expectation(NamedTuple):
    """An instance as it should be by now. `herding_gain`: sessions that others add for each one from here."""

    sessions: float
    variance: float = 0.0
    service_time_s: float = 0.0
    herding_gain: float = 0.0


class SessionModel:
    """One ingress's expectation of all instances."""

    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}
        self._instances: dict[Address, _Instance] = {}

    def on_assigned(self, d_bid: Address, now_s: float, flows: int = 1) -> None:
        """Take note that this ingress assigned flows to the instance then, which may be some time ago."""
        known = self._instances.setdefault(d_bid, _Instance())
        if now_s < known.measured_s:
            known.late += flows
            return
        known.assigned.append((now_s, flows))
        known.unreported += flows
        known.add(flows, now_s)

    def on_report(self, service: str, d_bid: Address, raw: RawMetrics, measured_s: float, travel_s: float) -> None:
        """Take in a report; flows assigned more than `travel_s` before it was measured are in it."""
        known = self._instances.setdefault(d_bid, _Instance())
        known.service = self._services.setdefault(service, _Service())
        counted = 0
        while known.assigned and known.assigned[0][0] <= measured_s - travel_s:
            counted += known.assigned.popleft()[1]
        known.unreported -= counted
        counted, known.late = counted + known.late, 0
        span_s = measured_s - known.measured_s
        started = raw.sessions_started - known.sessions_started
        if known.reports == 0 or started < 0:  # it is new, or restarted
            known.service_time_s, known.reports = raw.service_time_s, 1
        elif span_s > 0:
            known.reports += 1
            _learn_of_service(known, raw, started, span_s)
            _learn_rates(known, counted, max(0, started - counted), span_s)
            _learn_service_time(known, raw, started)
        known.begin(raw, measured_s)

    def unreported(self, d_bid: Address) -> int:
        """Return how many flows assigned here the last report cannot know of."""
        known = self._instances.get(d_bid)
        return known.unreported if known else 0

    def expected(self, d_bid: Address, reported: int, now_s: float) -> Expectation:
        """Return what an instance should be like by now; while nothing is known, as `reported` and assigned."""
        known = self._instances.get(d_bid)
        if known is None or known.estimate is None:
            return Expectation(float(reported + (known.unreported if known else 0)))
        estimate = known.estimate
        known.advance(estimate, now_s)
        return Expectation(estimate.mean, estimate.variance, known.service_time_s, known.service.herding_gain)

    def holding_time_s(self, service: str) -> float:
        """Return how long a session of a service stays in the system on average; infinite until one was seen."""
        known = self._services.get(service)
        return known.holding_s if known else math.inf

    def load_per_session(self, service: str) -> float:
        """Return how many workers one session of a service keeps busy on average; one until known, at most one."""
        known = self._services.get(service)
        return known.load_per_session if known else 1.0


def _learn_of_service(known: _Instance, raw: RawMetrics, started: int, span_s: float) -> None:
    of = known.service
    serving = raw.utilisation * raw.workers
    of.serving_worker_s = _MEMORY * of.serving_worker_s + serving * span_s
    of.busy_worker_s = _MEMORY * of.busy_worker_s + (serving + raw.queue_length) * span_s
    of.reported_session_s = _MEMORY * of.reported_session_s + raw.sessions * span_s
    of.session_s = _MEMORY * of.session_s + (raw.sessions + known.sessions) / 2 * span_s
    of.started = _MEMORY * of.started + started


def _learn_rates(known: _Instance, local: int, remote: int, span_s: float) -> None:
    of = known.service
    if known.span_s > 0:
        local_surplus = local - known.local * span_s / known.span_s
        remote_surplus = remote - known.remote * span_s / known.span_s
        of.local_surplus_squared = _GAIN_MEMORY * of.local_surplus_squared + local_surplus * local_surplus
        of.surplus_product = _GAIN_MEMORY * of.surplus_product + local_surplus * remote_surplus
    of.local = _GAIN_MEMORY * of.local + local
    of.remote = _GAIN_MEMORY * of.remote + remote
    known.local = _MEMORY * known.local + local
    known.remote = _MEMORY * known.remote + remote
    known.span_s = _MEMORY * known.span_s + span_s


def _learn_service_time(known: _Instance, raw: RawMetrics, started: int) -> None:
    if known.service_time_s <= 0:
        known.service_time_s = raw.service_time_s
        return
    ended = max(0, started + known.sessions - raw.sessions)
    is_news = min(1.0, ended / _SMOOTHED_OVER)  # after few more sessions it is nearly the same mean again
    weight = is_news * max(1 - _MEMORY, 1 / known.reports)
    known.service_time_s += weight * (raw.service_time_s - known.service_time_s)
