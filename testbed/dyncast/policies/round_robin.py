"""Instances in turn, per ingress and service."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from testbed.dyncast.policies.base import Policy
from testbed.dyncast.policies.candidate import Candidate, Weighed
from testbed.dyncast.policies.selectors.selector import Instance, Selector, Weigh
from testbed.net.addresses import Address

_NO_TURN_YET = -1


class RoundRobin(Policy):
    """The instance that was chosen longest ago; newcomers first, in address order."""

    def __init__(self) -> None:
        self._turn = 0
        self._last_turn: dict[Address, int] = {}

    def last_turn(self, item: Candidate) -> int:
        """Return the turn that an instance had last; newcomers have one before all."""
        return self._last_turn.get(item.d_bid, _NO_TURN_YET)

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """Weight one for the next in line."""
        following = min(candidates, key=lambda item: (self.last_turn(item), int(item.d_bid)))
        return {following.d_bid: 1.0}

    def selector(self, instances: Mapping[Address, Instance], rng: Random) -> Selector:
        """Keep the instances in line."""
        return _Line(instances, rng, self.weights, self)

    def on_chosen(self, d_bid: Address) -> None:
        """Move it to the end of the line."""
        self._last_turn[d_bid] = self._turn
        self._turn += 1


class _Line(Selector):
    """The instances in the order of their last turns."""

    shows_costs = False

    def __init__(self, instances: Mapping[Address, Instance], rng: Random, weigh: Weigh, policy: RoundRobin) -> None:
        super().__init__(instances, rng, weigh)
        self._policy = policy
        self._line: OrderedDict[Address, Instance] = OrderedDict()  # empty where it has to be made again

    def cost(self, candidate: Candidate) -> float:
        """The turn it had last."""
        return self._policy.last_turn(candidate)

    def on_all_changed(self) -> None:
        """Line up again when next needed."""
        self._line.clear()

    def on_added(self, instance: Instance) -> None:  # noqa: ARG002
        """Line up again when next needed: it may have had a turn before it left."""
        self._line.clear()

    def on_removed(self, instance: Instance) -> None:
        """Take it out of the line."""
        self._line.pop(instance.candidate.d_bid, None)

    def on_cost(self, instance: Instance, cost: float) -> None:
        """Move it to the end, for it has had a turn just now."""
        super().on_cost(instance, cost)
        if self._line:
            self._line.move_to_end(instance.candidate.d_bid)

    def pick(self) -> Instance:
        """Choose the first in line."""
        if not self._line:
            in_line = sorted(self._instances.items(), key=lambda item: (item[1].cost, int(item[0])))
            self._line = OrderedDict(in_line)
        return next(iter(self._line.values()))

    def shares(self, flows: int, now_s: float) -> dict[Address, int]:  # noqa: ARG002
        """The same for all, so that the shares stay as they are while turns pass."""
        return dict.fromkeys(self._instances, 1)

    def weighed(self, shown: Iterable[Instance], chosen: Instance) -> tuple[Weighed, ...]:
        """Weight one for the one whose turn it is."""
        return tuple(Weighed(item.candidate, float(item is chosen), None) for item in shown)
