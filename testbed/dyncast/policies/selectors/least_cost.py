"""The instance of the least cost, found at once in an order that is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heapreplace
from random import Random

from testbed.dyncast.policies.candidate import Candidate, Weighed
from testbed.dyncast.policies.selectors.cost_order import CostOrder
from testbed.dyncast.policies.selectors.selector import Instance, Selector, Weigh
from testbed.net.addresses import Address


class LeastCostSelector(Selector):
    """Takes the cheapest; ties are drawn evenly."""

    counts_flows = True

    def __init__(
        self, instances: Mapping[Address, Instance], rng: Random, weigh: Weigh, cost: Callable[[Candidate], float]
    ) -> None:
        super().__init__(instances, rng, weigh)
        self._cost = cost
        self._order: CostOrder[Instance] = CostOrder()

    def cost(self, candidate: Candidate) -> float:
        """The policy's cost."""
        return self._cost(candidate)

    def on_all_changed(self) -> None:
        """Order all of them."""
        self._order.replace_all(self._instances.values())

    def on_added(self, instance: Instance) -> None:
        """Put it in its place."""
        self._order.add(instance)

    def on_removed(self, instance: Instance) -> None:
        """Take it out."""
        self._order.remove(instance)

    def on_cost(self, instance: Instance, cost: float) -> None:
        """Move it to its new place."""
        self._order.move(instance, cost)

    def pick(self) -> Instance:
        """Choose the cheapest."""
        return self._order.cheapest(self._rng)

    def shares(self, flows: int, now_s: float) -> dict[Address, int]:  # noqa: ARG002
        """Return how many of the next flows each would get, were they assigned one by one, each counting for the next.

        Of those that tie for the first flow each gets at least one: nothing says which of them to leave out.
        """
        instances = list(self._instances.values())
        order = [(item.cost, 0, index) for index, item in enumerate(instances)]
        heapify(order)
        ties = sum(item.cost == order[0][0] for item in instances)
        for _ in range(max(flows, ties)):
            _, assigned, index = order[0]
            cost = self._cost(instances[index].candidate.with_more(assigned + 1))
            heapreplace(order, (cost, assigned + 1, index))
        return {instances[index].candidate.d_bid: assigned for _, assigned, index in order if assigned}

    def weighed(self, shown: Iterable[Instance], chosen: Instance) -> tuple[Weighed, ...]:
        """Weight one for those of the least cost."""
        return tuple(Weighed(item.candidate, float(item.cost == chosen.cost), item.cost) for item in shown)
