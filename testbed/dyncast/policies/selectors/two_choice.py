"""The cheaper of two instances drawn at random: nothing has to be kept in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random

from testbed.dyncast.policies.candidate import Candidate, Weighed
from testbed.dyncast.policies.selectors.selector import Instance, Selector, Weigh
from testbed.net.addresses import Address


class TwoChoiceSelector(Selector):
    """Draws two, takes the cheaper one."""

    def __init__(
        self, instances: Mapping[Address, Instance], rng: Random, weigh: Weigh, cost: Callable[[Candidate], float]
    ) -> None:
        super().__init__(instances, rng, weigh)
        self._cost = cost
        self._listed: list[Instance] = []  # to draw from; empty where it has to be made again

    def cost(self, candidate: Candidate) -> float:
        """The policy's cost."""
        return self._cost(candidate)

    def on_all_changed(self) -> None:
        """List them again when next needed."""
        self._listed = []

    def on_added(self, instance: Instance) -> None:  # noqa: ARG002
        """List them again when next needed."""
        self._listed = []

    def on_removed(self, instance: Instance) -> None:  # noqa: ARG002
        """List them again when next needed."""
        self._listed = []

    def pick(self) -> Instance:
        """Choose the cheaper of two, or the only one."""
        self._listed = self._listed or list(self._instances.values())
        drawn = self._rng.sample(self._listed, min(2, len(self._listed)))
        return min(drawn, key=lambda item: item.cost)

    def weighed(self, shown: Iterable[Instance], chosen: Instance) -> tuple[Weighed, ...]:
        """Weight one for the one chosen."""
        return tuple(Weighed(item.candidate, float(item is chosen), item.cost) for item in shown)
