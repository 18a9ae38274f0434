"""What an ingress expects an instance's load to be by now, from reports that are old already.

Pure. A report says how many sessions (requests, calls) an instance had when it was measured. Since then
some ended, this ingress sent new ones, and so did others. The model, an M/G/∞ fluid with holding time H:

    expected(now) = reported * e^(-age/H)  +  sum over own flows since e^(-(now-given)/H)
                    + rate of the others * H * (1 - e^(-age/H))

H comes per service from Little's law over the reports (sessions in the system over sessions started per
second), the others' rate per instance from the sessions it says it started less those given to it from here.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from testbed.dyncast.codec import Address
from testbed.dyncast.metrics import RawMetrics

_MEMORY = 0.9  # weight of what was known, against each new report


@dataclass
class _Service:
    busy_worker_time_s: float = 0.0
    session_time_s: float = 0.0
    started: float = 0.0


class _Given:
    """The flows from here that no report of the instance can have counted yet.

    How many of them stay is carried along from one question to the next, as long as the holding time is the same.
    """

    def __init__(self) -> None:
        self.flows = 0
        self._batches: deque[tuple[float, int]] = deque()
        self._staying = 0.0
        self._as_of_s = 0.0
        self._holding_s = math.nan  # what `_staying` was reckoned with; NaN: not reckoned

    def add(self, flows: int, now_s: float) -> None:
        """Take note of more."""
        self._batches.append((now_s, flows))
        self.flows += flows
        self._staying = self._fade_to(now_s) + flows

    def remove_until(self, time_s: float) -> int:
        """Forget those given until then; return how many they were."""
        before = self.flows
        while self._batches and self._batches[0][0] <= time_s:
            self.flows -= self._batches.popleft()[1]
        self._holding_s = math.nan
        return before - self.flows

    def staying(self, holding_s: float, now_s: float) -> float:
        """Return how many should not have ended by now."""
        if holding_s == self._holding_s:
            self._staying = self._fade_to(now_s)
        else:
            self._staying = sum([flows * math.exp((given_s - now_s) / holding_s) for given_s, flows in self._batches])
            self._as_of_s, self._holding_s = now_s, holding_s
        return self._staying

    def _fade_to(self, now_s: float) -> float:
        passed_s = max(0.0, now_s - self._as_of_s)
        self._as_of_s = max(self._as_of_s, now_s)
        return self._staying * math.exp(-passed_s / self._holding_s)


@dataclass
class _Instance:
    given: _Given = field(default_factory=_Given)
    measured_s: float | None = None
    sessions: int = 0
    sessions_started: int = 0
    others_per_s: float = 0.0


class SessionModel:
    """One ingress's expectation of all instances."""

    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}
        self._instances: dict[Address, _Instance] = {}

    def on_given(self, d_bid: Address, now_s: float, flows: int = 1) -> None:
        """Take note that this ingress gave the instance flows."""
        self._instances.setdefault(d_bid, _Instance()).given.add(flows, now_s)

    def on_report(self, service: str, d_bid: Address, raw: RawMetrics, measured_s: float, travel_s: float) -> None:
        """Take in a report; flows given more than `travel_s` before it was measured are in it."""
        known = self._instances.setdefault(d_bid, _Instance())
        counted = known.given.remove_until(measured_s - travel_s)
        span_s = 0.0 if known.measured_s is None else measured_s - known.measured_s
        started = raw.sessions_started - known.sessions_started
        if span_s > 0 and started >= 0:  # fewer than before: the instance began anew
            self._learn(service, raw, (raw.sessions + known.sessions) / 2, span_s, started)
            others_per_s = max(0, started - counted) / span_s
            known.others_per_s += (1 - _MEMORY) * (others_per_s - known.others_per_s)
        known.measured_s, known.sessions, known.sessions_started = measured_s, raw.sessions, raw.sessions_started

    def unseen(self, d_bid: Address) -> int:
        """Return how many flows given from here the last report cannot know of."""
        known = self._instances.get(d_bid)
        return known.given.flows if known else 0

    def expected_sessions(self, service: str, d_bid: Address, reported: int, age_s: float, now_s: float) -> float:
        """Return the sessions that an instance should have by now."""
        known = self._instances.get(d_bid)
        if known is None:
            return float(reported)
        holding_s = self.holding_time_s(service)
        age_s = max(0.0, age_s)
        own = known.given.staying(holding_s, now_s)
        if math.isinf(holding_s):
            return reported + own + known.others_per_s * age_s
        stays = math.exp(-age_s / holding_s)
        return reported * stays + own + known.others_per_s * holding_s * (1 - stays)

    def holding_time_s(self, service: str) -> float:
        """Return how long a session of a service stays in the system on average; infinite until one was seen."""
        known = self._services.get(service)
        if known is None or known.started <= 0 or known.session_time_s <= 0:
            return math.inf
        return known.session_time_s / known.started

    def load_per_session(self, service: str) -> float:
        """Return how many workers one session of a service keeps busy on average; one until known, at most one."""
        known = self._services.get(service)
        if known is None or known.session_time_s <= 0:
            return 1.0
        return min(1.0, known.busy_worker_time_s / known.session_time_s)

    def _learn(self, service: str, raw: RawMetrics, sessions: float, span_s: float, started: int) -> None:
        known = self._services.setdefault(service, _Service())
        busy = raw.utilisation * raw.workers + raw.queue_length
        known.busy_worker_time_s = _MEMORY * known.busy_worker_time_s + busy * span_s
        known.session_time_s = _MEMORY * known.session_time_s + sessions * span_s
        known.started = _MEMORY * known.started + started
