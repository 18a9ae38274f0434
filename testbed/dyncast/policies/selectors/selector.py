"""What every selector does, and the one that asks its policy about all instances for each flow.

A selector learns when its instances have changed, and keeps them in an order that lets it choose at once. Its caller
keeps the instances themselves, and says when to look at them (`testbed.dyncast.selection.selection`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from testbed.dyncast.policies.candidate import Candidate, Weighed
from testbed.dyncast.policies.selectors.cost_order import Priced
from testbed.net.addresses import Address

Weigh = Callable[[Sequence[Candidate], float], Mapping[Address, float]]


class Instance(Priced):
    """An instance as it was last looked at, of metrics of `measured_s`. `cost`: its selector takes the least first."""

    __slots__ = ("candidate", "measured_s")

    def __init__(self, candidate: Candidate, measured_s: float, cost: float) -> None:
        self.candidate = candidate
        self.measured_s = measured_s
        self.cost = cost


class Selector(ABC):
    """Chooses among `instances`, which its caller keeps up to date. `weigh`: the policy's weights over any of them."""

    shows_costs = True  # the costs of instances mean something to a reader
    counts_flows = False  # shares are those of so many flows assigned one by one, each counting for the next

    def __init__(self, instances: Mapping[Address, Instance], rng: Random, weigh: Weigh) -> None:
        self._instances = instances
        self._rng = rng
        self._weigh = weigh

    # -- what has changed ------------------------------------------------------------------------

    @abstractmethod
    def cost(self, candidate: Candidate) -> float:
        """Return the cost of an instance as it is looked at."""

    def on_all_changed(self) -> None:  # noqa: B027
        """Take note that all instances are others."""

    def on_added(self, instance: Instance) -> None:  # noqa: B027
        """Take note of an instance that came."""

    def on_removed(self, instance: Instance) -> None:  # noqa: B027
        """Take note of an instance that left."""

    def on_cost(self, instance: Instance, cost: float) -> None:
        """Give an instance the cost that it has now, which is another than before."""
        instance.cost = cost

    # -- what is decided -------------------------------------------------------------------------

    @abstractmethod
    def pick(self) -> Instance | None:
        """Choose among all instances, of which there is one at least, without looking at them; None: it cannot."""

    def choose(self, now_s: float, is_barred: Callable[[Address], bool]) -> Instance | None:
        """Choose an instance that is not barred; None if there is none."""
        picked = self.pick() if self._instances else None
        if picked is not None and not is_barred(picked.candidate.d_bid):
            return picked
        weights = self.weights(now_s, is_barred)
        return self._instances[self._rng.choices(list(weights), list(weights.values()))[0]] if weights else None

    def weights(self, now_s: float, is_barred: Callable[[Address], bool]) -> Mapping[Address, float]:
        """Return the policy's weights over the instances that are not barred."""
        candidates = [item.candidate for d_bid, item in self._instances.items() if not is_barred(d_bid)]
        return self._weigh(candidates, now_s) if candidates else {}

    def shares(self, flows: int, now_s: float) -> dict[Address, int]:
        """Return how the next flows should be shared out over the instances, of which there is one at least.

        An instance that gets none is left out. Weights become whole numbers that sum up to about `flows`, at least one
        each.
        """
        weights = self.weights(now_s, _nobody_is_barred)
        total = sum(weights.values())
        return {d_bid: max(1, round(flows * weight / total)) for d_bid, weight in weights.items() if weight > 0}

    @abstractmethod
    def weighed(self, shown: Iterable[Instance], chosen: Instance) -> tuple[Weighed, ...]:
        """Return some instances as the choice weighed them."""


class PollingSelector(Selector):
    """Asks for the weights of all for each flow: of a policy that looks at them together."""

    shows_costs = False

    def __init__(self, instances: Mapping[Address, Instance], rng: Random, weigh: Weigh) -> None:
        super().__init__(instances, rng, weigh)
        self._weights: Mapping[Address, float] = {}  # as last asked for

    def cost(self, candidate: Candidate) -> float:  # noqa: ARG002
        """The same for all: only together do they have weights."""
        return 0.0

    def pick(self) -> None:
        """It must look."""

    def weights(self, now_s: float, is_barred: Callable[[Address], bool]) -> Mapping[Address, float]:
        """Return the weights, and keep them for the record."""
        self._weights = super().weights(now_s, is_barred)
        return self._weights

    def weighed(self, shown: Iterable[Instance], chosen: Instance) -> tuple[Weighed, ...]:  # noqa: ARG002
        """The weights that were drawn from."""
        return tuple(Weighed(item.candidate, self._weights.get(item.candidate.d_bid, 0.0), None) for item in shown)


def _nobody_is_barred(_: Address) -> bool:
    return False
