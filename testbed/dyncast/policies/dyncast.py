"""The Dyncast policy: least predicted time until the service is done, network and compute together.

    cost = round trips + predicted wait + service time + penalty x chance of refusal

A round trip is the measured one and what the first link of the path adds to it, by the counters of its port
(`port_state`).

The sessions N that an instance will have when this flow arrives are the expected ones (`session_model`) and this one.
Two pictures of waiting apply, and `u`, the workers that one session takes, says how much of each:

* a request takes a whole worker until it is done (u = 1): E[max(0, N - c)] requests stand ahead, each service time / c,
  and it needs two round trips, one to connect and one to ask. N is normal, the wider the older the report: an instance
  that may have a queue is dearer than one that surely has none;
* a media stream adds a little steady load (u << 1) and needs one round trip: the stationary M/M/c wait at
  rho = N u / c, by Sakasegawa's approximation  W = s * rho^(sqrt(2(c+1)) - 1) / (c (1 - rho)), bounded by the
  waiting room.

Beyond the waiting room requests are refused, and above rho = 1 a share 1 - 1/rho of a stream's packets.
"""

from __future__ import annotations

import math

from testbed.dyncast.policies.base import LeastCost
from testbed.dyncast.policies.candidate import Candidate
from testbed.queueing.queue_estimate import beyond
from testbed.queueing.stationary import stationary_wait


class DyncastPolicy(LeastCost):
    """Weight one for the least predicted cost. `refusal_penalty_ms` is what a refused flow is reckoned to cost."""

    def __init__(self, refusal_penalty_ms: float = 5000.0) -> None:
        if not 0 <= refusal_penalty_ms < math.inf:  # an infinite one would make every cost infinite or no number
            raise ValueError(f"refusal_penalty_ms must be >= 0 and finite, not {refusal_penalty_ms}")
        self.refusal_penalty_ms = refusal_penalty_ms

    def cost(self, item: Candidate) -> float:
        """Predict the time until done, in ms, with the penalty."""
        share = min(1.0, item.load_per_session)
        cost_ms = (1 + share) * (item.rtt_s + item.port_cost_s) * 1e3
        if item.metrics is None:
            return cost_ms
        workers, room = item.metrics.workers, item.metrics.queue_limit
        service_ms = item.service_time_s * 1e3
        full_wait_ms = room * service_ms / workers

        sessions = item.expected_sessions + 1
        ahead, _ = beyond(sessions, item.sessions_variance, workers)
        _, request_refused = beyond(sessions, item.sessions_variance, workers + room)
        request_wait_ms = min(ahead * service_ms / workers, full_wait_ms)

        rho = sessions * item.load_per_session / workers
        stream_wait_ms = full_wait_ms if rho >= 1 else min(stationary_wait(workers, rho) * service_ms, full_wait_ms)
        stream_refused = max(0.0, 1.0 - 1.0 / rho) if rho > 0 else 0.0

        wait_ms = share * request_wait_ms + (1 - share) * stream_wait_ms
        refused = share * request_refused + (1 - share) * stream_refused
        return cost_ms + wait_ms + service_ms + refused * self.refusal_penalty_ms
