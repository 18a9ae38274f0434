"""What a policy is given and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from typing import NamedTuple

from testbed.dyncast.metrics.levels import UNSCORED, RawMetrics, Scores
from testbed.net.addresses import Address


class Candidate(NamedTuple):
    """An instance that may take the flow, as this ingress sees it.

    `path_cost_ms` is the routing's static round-trip cost, `rtt_s` the measured one, `port_cost_s` what the first link
    of the path adds to each round trip (`port_state`). `expected_sessions`, with `sessions_variance`, are those the
    instance should have by now (`session_model`), `unseen` those given from here since its last report, `echo` what
    others are expected to add for each flow from here. `load_per_session` is how many workers one session of this
    service keeps busy on average (1 for a request, less for a media stream).
    """

    d_bid: Address
    site: str
    path_cost_ms: float
    rtt_s: float
    metrics: RawMetrics | None
    metrics_age_s: float
    expected_sessions: float = 0.0
    load_per_session: float = 1.0
    unseen: int = 0
    sessions_variance: float = 0.0
    learnt_service_time_s: float = 0.0
    echo: float = 0.0
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
        sessions = self.expected_sessions + flows * (1 + self.echo)
        return self._replace(expected_sessions=sessions, unseen=self.unseen + flows)


class Weighed(NamedTuple):
    """A candidate as a decision weighed it. `cost` is in the unit of the policy, None where it knows no cost."""

    candidate: Candidate
    weight: float
    cost: float | None


class Policy(ABC):
    """Give each candidate a weight; those left out get nothing. To say no more than `weights` is enough."""

    @abstractmethod
    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:
        """Return non-negative weights by D-BID."""

    def on_chosen(self, d_bid: Address) -> None:  # noqa: B027
        """Take note of the choice made; a policy without memory need not."""


class Proportional(Policy):
    """Share flows out in proportion to a weight that follows from each candidate alone."""

    @abstractmethod
    def weight(self, item: Candidate) -> float:
        """Return the weight of a candidate, finite and positive."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """The weight of each."""
        return {item.d_bid: self.weight(item) for item in candidates}


class Costed(Policy):
    """Go by a cost of each candidate.

    It must follow from that candidate alone (and from what `on_chosen` was told of it): then of a thousand instances
    only the one that got a flow has to be looked at again.
    """

    @abstractmethod
    def cost(self, item: Candidate) -> float:
        """Return what it costs to choose a candidate, in any unit, never NaN."""


class LeastCost(Costed):
    """Choose the candidate of the least cost; ties share evenly."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """Weight one for the least cost."""
        costs = {item.d_bid: self.cost(item) for item in candidates}
        least = min(costs.values())
        return {d_bid: 1.0 for d_bid, cost in costs.items() if cost == least}

    def shares(self, priced: Sequence[tuple[float, Candidate]], flows: int) -> dict[Address, int]:
        """Return how many of the next flows each would get, were they given one by one; `priced` holds costs as of now.

        Of those that tie for the first flow each gets at least one: nothing says which of them to leave out.
        """
        order = [(cost, 0, index) for index, (cost, _) in enumerate(priced)]
        heapify(order)
        ties = sum(cost == order[0][0] for cost, _ in priced)
        for _ in range(max(flows, ties)):
            _, given, index = order[0]
            cost = self.cost(priced[index][1].with_more(given + 1))
            heapreplace(order, (cost, given + 1, index))
        return {priced[index][1].d_bid: given for _, given, index in order if given}


class BestOfTwo(Costed):
    """Draw two candidates at random and choose the cheaper one; ties share evenly."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """Weight each by how many of the others it would win against; a tie is won half the time."""
        if len(candidates) == 1:
            return {candidates[0].d_bid: 1.0}
        costs = {item.d_bid: self.cost(item) for item in candidates}
        order = sorted(costs.values())
        return {
            d_bid: len(order) - (bisect_left(order, cost) + bisect_right(order, cost) + 1) / 2
            for d_bid, cost in costs.items()
        }


PolicyFactory = Callable[..., Policy]
