"""An instance drawn by weights that each has by itself: their sums are kept until one of them changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from random import Random

from testbed.dyncast.policies.candidate import Candidate, Weighed
from testbed.dyncast.policies.selectors.selector import Instance, Selector, Weigh
from testbed.net.addresses import Address


class WeightedSelector(Selector):
    """Draws in proportion to the weights. The cost of an instance is minus its weight: the heaviest come first."""

    shows_costs = False

    def __init__(
        self, instances: Mapping[Address, Instance], rng: Random, weigh: Weigh, weight: Callable[[Candidate], float]
    ) -> None:
        super().__init__(instances, rng, weigh)
        self._weight = weight
        self._listed: list[Instance] = []  # empty where it and the sums have to be made again
        self._sums: list[float] = []

    def cost(self, candidate: Candidate) -> float:
        """Minus the policy's weight."""
        return -self._weight(candidate)

    def on_all_changed(self) -> None:
        """Sum up again when next needed."""
        self._listed = []

    def on_added(self, instance: Instance) -> None:  # noqa: ARG002
        """Sum up again when next needed."""
        self._listed = []

    def on_removed(self, instance: Instance) -> None:  # noqa: ARG002
        """Sum up again when next needed."""
        self._listed = []

    def on_cost(self, instance: Instance, cost: float) -> None:
        """Sum up again when next needed."""
        super().on_cost(instance, cost)
        self._listed = []

    def pick(self) -> Instance:
        """Draw one."""
        if not self._listed:
            self._listed = list(self._instances.values())
            self._sums = list(accumulate(-item.cost for item in self._listed))
        return self._rng.choices(self._listed, cum_weights=self._sums)[0]

    def weighed(self, shown: Iterable[Instance], chosen: Instance) -> tuple[Weighed, ...]:  # noqa: ARG002
        """The weights that were drawn from."""
        return tuple(Weighed(item.candidate, -item.cost, None) for item in shown)
