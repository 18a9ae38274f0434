"""What a policy has to say, and the three ways to say it that spare an ingress from looking at all instances.

A policy says how it chooses by the `Selector` that it returns. Its `weights` say the same of any few candidates, at
once and without memory: where a flow is barred from the instance that the selector would take, and in tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from random import Random

from testbed.dyncast.policies.candidate import Candidate
from testbed.dyncast.policies.selectors.least_cost import LeastCostSelector
from testbed.dyncast.policies.selectors.selector import Instance, PollingSelector, Selector
from testbed.dyncast.policies.selectors.two_choice import TwoChoiceSelector
from testbed.dyncast.policies.selectors.weighted import WeightedSelector
from testbed.net.addresses import Address


class Policy(ABC):
    """Give each candidate a weight; those left out get nothing. To say no more than `weights` is enough."""

    @abstractmethod
    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:
        """Return non-negative weights by D-BID."""

    def selector(self, instances: Mapping[Address, Instance], rng: Random) -> Selector:
        """Return what chooses among `instances`; unless there is a better way, it asks for weights at each flow."""
        return PollingSelector(instances, rng, self.weights)

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

    def selector(self, instances: Mapping[Address, Instance], rng: Random) -> Selector:
        """Draw from the weights as they were summed up last."""
        return WeightedSelector(instances, rng, self.weights, self.weight)


class Costed(Policy):
    """Go by a cost of each candidate.

    It must follow from that candidate alone: then of a thousand instances only the one that got a flow has to be looked
    at again.
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

    def selector(self, instances: Mapping[Address, Instance], rng: Random) -> Selector:
        """Keep the instances in the order of their costs."""
        return LeastCostSelector(instances, rng, self.weights, self.cost)


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

    def selector(self, instances: Mapping[Address, Instance], rng: Random) -> Selector:
        """Look at two instances for each flow."""
        return TwoChoiceSelector(instances, rng, self.weights, self.cost)


PolicyFactory = Callable[..., Policy]
