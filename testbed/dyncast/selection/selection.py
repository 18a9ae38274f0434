"""Who gets the next flow to one D-SID: what was known when an instance was last looked at, kept in order.

To look at every instance for every flow would take milliseconds where there are a thousand. What a policy weighs is
looked at again for all of them every `REFRESH_INTERVAL_S`, and at once for an instance that a report told of or a
flow was given to. So a decision rests on figures that are at most that old; where there are hundreds, up to some tenths
of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import nsmallest
from itertools import accumulate
from random import Random
from typing import NamedTuple

from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.policies import BestOfTwo, Candidate, Costed, LeastCost, Policy, Proportional
from testbed.dyncast.policies.base import Weighed
from testbed.dyncast.selection.cost_order import CostOrder, Priced
from testbed.dyncast.selection.view import Outlook
from testbed.net.addresses import Address

REFRESH_INTERVAL_S = 0.1
_QUICKLY = 200  # instances that are looked at so often; more of them proportionally more seldom
_RECORDED = 8  # candidates that a decision is recorded with; all of them where there are so few


class Choice(NamedTuple):
    """The instance chosen. `weighed` is it and those that were cheapest of late, out of `considered`."""

    d_bid: Address
    site: str
    metrics_age_s: float
    considered: int
    weighed: tuple[Weighed, ...]


class _Instance(Priced):
    """`cost` is minus the weight where the policy is `Proportional`, so that the order is the same: the best first."""

    __slots__ = ("binding", "candidate")

    def __init__(self, binding: Binding, candidate: Candidate, cost: float) -> None:
        self.binding = binding
        self.candidate = candidate
        self.cost = cost


class Selection:
    """The instances of one D-SID, and a policy that chooses among them. `rng` draws among weights and ties."""

    def __init__(
        self, outlook: Outlook, policy: Policy, rng: Random, refresh_interval_s: float = REFRESH_INTERVAL_S
    ) -> None:
        self._outlook = outlook
        self._policy = policy
        self._rng = rng
        self._refresh_interval_s = min(refresh_interval_s, outlook.lifetime_s, outlook.current_for_s)
        self._refresh_due_s = -math.inf
        self._stale: set[Address] = set()
        self._instances: dict[Address, _Instance] = {}
        self._order: CostOrder[_Instance] = CostOrder()
        self._shortlist: list[_Instance] = []
        self._cumulative: list[float] | None = None  # weights summed up, when next needed

    # -- what is heard ---------------------------------------------------------------------------

    def on_told(self, d_bid: Address) -> None:
        """Hear that a report told of an instance."""
        self._stale.add(d_bid)

    def gave(self, d_bid: Address, flows: int, now_s: float) -> None:
        """Hear that an instance was given flows that `choose` knows nothing of."""
        self._outlook.on_given(d_bid, flows, now_s)
        self._stale.add(d_bid)

    # -- what is decided -------------------------------------------------------------------------

    def available(self, now_s: float) -> int:
        """Return how many instances may take a flow."""
        self._look(now_s)
        return len(self._instances)

    def choose(self, now_s: float, is_barred: Callable[[Address], bool]) -> Choice | None:
        """Give a flow to an instance that is not barred from it; None if there is none."""
        self._look(now_s)
        weights: dict[Address, float] = {}
        chosen = self._pick() if self._instances else None
        if chosen is None or is_barred(chosen.candidate.d_bid):
            weights = self._weights(now_s, is_barred)
            if not weights:
                return None
            chosen = self._instances[self._rng.choices(list(weights), list(weights.values()))[0]]
        d_bid, site = chosen.candidate[:2]
        choice = Choice(
            d_bid, site, now_s - chosen.binding.measured_s, len(self._instances), self._weighed(chosen, weights)
        )
        self._policy.on_chosen(d_bid)
        self.gave(d_bid, 1, now_s)
        return choice

    def shares(self, flows: int, now_s: float) -> dict[Address, int]:
        """Return how the next flows should be shared out; who gets none is left out. Changes nothing.

        A policy of least cost gives them one by one, reckoning with each. Weights are brought to whole numbers
        that sum up to about `flows`, at least one each.
        """
        self._look(now_s)
        if not self._instances:
            return {}
        if isinstance(self._policy, LeastCost):
            return self._policy.shares([(item.cost, item.candidate) for item in self._instances.values()], flows)
        weights = self._weights(now_s, lambda _: False)
        total = sum(weights.values())
        return {d_bid: max(1, round(flows * weight / total)) for d_bid, weight in weights.items() if weight > 0}

    def weighed(self, flows: int, now_s: float) -> tuple[Weighed, ...]:
        """Return every instance that may take a flow, with its share of the next flows as `shares` has it."""
        shares = self.shares(flows, now_s)
        return tuple(
            Weighed(item.candidate, shares.get(d_bid, 0), item.cost if isinstance(self._policy, Costed) else None)
            for d_bid, item in self._instances.items()
        )

    def _pick(self) -> _Instance | None:
        """Choose without looking at all; None where the policy cannot."""
        if isinstance(self._policy, LeastCost):
            return self._order.cheapest(self._rng)
        instances = list(self._instances.values())
        if isinstance(self._policy, BestOfTwo):
            return min(self._rng.sample(instances, min(2, len(instances))), key=lambda item: item.cost)
        if isinstance(self._policy, Proportional):
            if self._cumulative is None:
                self._cumulative = list(accumulate(-item.cost for item in instances))
            return self._rng.choices(instances, cum_weights=self._cumulative)[0]
        return None

    def _weights(self, now_s: float, is_barred: Callable[[Address], bool]) -> dict[Address, float]:
        candidates = [item.candidate for d_bid, item in self._instances.items() if not is_barred(d_bid)]
        return self._policy.weights(candidates, now_s) if candidates else {}

    def _weighed(self, chosen: _Instance, weights: dict[Address, float]) -> tuple[Weighed, ...]:
        shown = self._shortlist if chosen in self._shortlist else [chosen, *self._shortlist]
        policy = self._policy
        if isinstance(policy, LeastCost):
            return tuple(Weighed(item.candidate, float(item.cost == chosen.cost), item.cost) for item in shown)
        if isinstance(policy, BestOfTwo):
            return tuple(Weighed(item.candidate, float(item is chosen), item.cost) for item in shown)
        if isinstance(policy, Proportional):
            return tuple(Weighed(item.candidate, -item.cost, None) for item in shown)
        return tuple(Weighed(item.candidate, weights.get(item.candidate.d_bid, 0.0), None) for item in shown)

    # -- looking at instances --------------------------------------------------------------------

    def _look(self, now_s: float) -> None:
        if now_s >= self._refresh_due_s:
            self._look_at_all(now_s)
        else:
            for d_bid in self._stale:
                self._look_at(d_bid, now_s)
        self._stale.clear()

    def _look_at_all(self, now_s: float) -> None:
        usable = self._outlook.usable(now_s)
        expiry_s = min((binding.received_s for binding in usable), default=now_s) + self._outlook.lifetime_s
        interval_s = self._refresh_interval_s * max(1.0, len(usable) / _QUICKLY)
        self._refresh_due_s = min(now_s + interval_s, expiry_s)
        self._instances = {}
        for binding in usable:
            candidate = self._outlook.candidate(binding, now_s)
            self._instances[binding.d_bid] = _Instance(binding, candidate, self._cost(candidate))
        self._order.replace_all(self._instances.values())
        self._cumulative = None
        self._shortlist = nsmallest(_RECORDED, self._instances.values(), key=lambda item: item.cost)

    def _look_at(self, d_bid: Address, now_s: float) -> None:
        known = self._instances.get(d_bid)
        binding = self._outlook.usable_one(d_bid, now_s)
        if binding is None:
            if known is not None:
                self._remove(known)
            return
        candidate = self._outlook.candidate(binding, now_s)
        cost = self._cost(candidate)
        if known is None:
            self._add(_Instance(binding, candidate, cost))
        else:
            known.binding, known.candidate = binding, candidate
            if cost != known.cost:
                self._order.move(known, cost)
                self._cumulative = None

    def _add(self, instance: _Instance) -> None:
        self._instances[instance.candidate.d_bid] = instance
        self._order.add(instance)
        self._cumulative = None
        if len(self._shortlist) < _RECORDED:
            self._shortlist.append(instance)

    def _remove(self, instance: _Instance) -> None:
        del self._instances[instance.candidate.d_bid]
        self._order.remove(instance)
        self._cumulative = None
        if instance in self._shortlist:
            self._shortlist.remove(instance)

    def _cost(self, candidate: Candidate) -> float:
        if isinstance(self._policy, Costed):
            return self._policy.cost(candidate)
        return -self._policy.weight(candidate) if isinstance(self._policy, Proportional) else 0.0
