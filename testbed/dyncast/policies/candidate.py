"""An instance as an ingress sees it when it has a flow to give, and as a decision weighed it."""

from __future__ import annotations

from typing import NamedTuple

from testbed.dyncast.metrics.levels import UNSCORED, RawMetrics, Scores
from testbed.net.addresses import Address


class Candidate(NamedTuple):
    """An instance that may take the flow, as this ingress sees it.

    `path_cost_ms` is the routing's static round-trip cost, `rtt_s` the measured one, `port_cost_s` what the first link
    of the path adds to each round trip (`port_state`). `expected_sessions`, with `sessions_variance`, are those the
    instance should have by now (`session_model`), `unreported` those assigned here since its last report,
    `herding_gain` what others are expected to add for each flow from here. `load_per_session` is how many workers one
    session of this service keeps busy on average (1 for a request, less for a media stream).
    """

    d_bid: Address
    site: str
    path_cost_ms: float
    rtt_s: float
    metrics: RawMetrics | None
    metrics_age_s: float
    expected_sessions: float = 0.0
    load_per_session: float = 1.0
    unreported: int = 0
    sessions_variance: float = 0.0
    learnt_service_time_s: float = 0.0
    herding_gain: float = 0.0
    scores: Scores = UNSCORED
    port_cost_s: float = 0.0

    @property
    def service_time_s(self) -> float:
        """The mean service time over many reports; while none is known, that of the last."""
        return self.learnt_service_time_s or (self.metrics.service_time_s if self.metrics else 0.0)

    @property
    def reported_load(self) -> float:
        """The load per worker as the last report has it; 0 without metrics."""
        return self.metrics.sessions * self.load_per_session / self.metrics.workers if self.metrics else 0.0

    def with_more(self, flows: int) -> Candidate:
        """Return the instance as it would be with so many more flows from here."""
        sessions = self.expected_sessions + flows * (1 + self.herding_gain)
        return self._replace(expected_sessions=sessions, unreported=self.unreported + flows)


class Weighed(NamedTuple):
    """A candidate as a decision weighed it. `cost` is in the unit of the policy, None where it knows no cost."""

    candidate: Candidate
    weight: float
    cost: float | None
