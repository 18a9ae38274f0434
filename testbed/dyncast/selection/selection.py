"""Which instance gets the next flow to one D-SID: a policy chooses among them as they were last looked at.

To look at every instance for every flow would take milliseconds where there are a thousand. What a policy weighs is
looked at again for all of them every `REFRESH_INTERVAL_S`, and at once for an instance that was reported or that a flow
was assigned to. So a decision rests on figures that are at most that old; where there are hundreds, up to some tenths
of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import nsmallest
from random import Random
from typing import NamedTuple

from testbed.dyncast.events import Decided
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.policies import Policy
from testbed.dyncast.policies.candidate import Weighed
from testbed.dyncast.policies.selectors.selector import Instance
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

REFRESH_INTERVAL_S = 0.1
_QUICKLY = 200  # instances that are looked at so often; more of them proportionally more seldom
_RECORDED = 8  # candidates that a decision is recorded with; all of them where there are so few


class Choice(NamedTuple):
    """The instance chosen. `weighed` is it and those that were cheapest recently, out of `considered`."""

    d_bid: Address
    site: str
    metrics_age_s: float
    considered: int
    weighed: tuple[Weighed, ...]

    def decision(self, now_s: float, service: str, policy: str, flow: FlowKey, *, of_site: bool = False) -> Decided:
        """Return the decision that assigns a flow so; `of_site`: to the site, where what stands for it was chosen."""
        d_bid = None if of_site else self.d_bid
        return Decided(
            now_s, service, policy, flow, d_bid, self.site, self.metrics_age_s, self.considered, self.weighed
        )


class Selection:
    """The instances of one D-SID, and a policy that chooses among them. `rng` draws among weights and ties."""

    def __init__(
        self, view: InstanceView, policy: Policy, rng: Random, refresh_interval_s: float = REFRESH_INTERVAL_S
    ) -> None:
        self._view = view
        self._policy = policy
        self._refresh_interval_s = min(refresh_interval_s, view.lifetime_s, view.current_for_s)
        self._refresh_due_s = -math.inf
        self._stale: set[Address] = set()
        self._instances: dict[Address, Instance] = {}
        self._selector = policy.selector(self._instances, rng)
        self._shortlist: list[Instance] = []

    # -- what is reported ------------------------------------------------------------------------

    def on_reported(self, d_bid: Address) -> None:
        """Handle a report of an instance."""
        self._stale.add(d_bid)

    def look_again(self) -> None:
        """Look at all instances before the next decision."""
        self._refresh_due_s = -math.inf

    def on_assigned(self, d_bid: Address, flows: int, now_s: float) -> None:
        """Take note that an instance was assigned flows that `choose` knows nothing of."""
        self._view.on_assigned(d_bid, flows, now_s)
        self._stale.add(d_bid)

    # -- what is decided -------------------------------------------------------------------------

    def available(self, now_s: float) -> int:
        """Return how many instances may take a flow."""
        self._look(now_s)
        return len(self._instances)

    def choose(self, now_s: float, is_barred: Callable[[Address], bool]) -> Choice | None:
        """Give a flow to an instance that is not barred from it; None if there is none."""
        self._look(now_s)
        chosen = self._selector.choose(now_s, is_barred)
        if chosen is None:
            return None
        shown = self._shortlist if chosen in self._shortlist else [chosen, *self._shortlist]
        d_bid, site = chosen.candidate[:2]
        age_s = now_s - chosen.measured_s
        choice = Choice(d_bid, site, age_s, len(self._instances), self._selector.weighed(shown, chosen))
        self._policy.on_chosen(d_bid)
        self.on_assigned(d_bid, 1, now_s)
        return choice

    @property
    def counts_flows(self) -> bool:
        """Whether shares depend on the number of flows, for each of them counts for the next."""
        return self._selector.counts_flows

    def shares(self, flows: int, now_s: float) -> dict[Address, int]:
        """Return how the next flows should be shared out, as whole numbers; an instance that gets none is left out.

        Changes nothing.
        """
        self._look(now_s)
        return self._selector.shares(flows, now_s) if self._instances else {}

    def weighed(self, flows: int, now_s: float) -> tuple[Weighed, ...]:
        """Return every instance that may take a flow, with its share of the next flows as `shares` has it."""
        shares, has_cost = self.shares(flows, now_s), self._selector.shows_costs
        return tuple(
            Weighed(item.candidate, shares.get(d_bid, 0), item.cost if has_cost else None)
            for d_bid, item in self._instances.items()
        )

    # -- looking at instances --------------------------------------------------------------------

    def _look(self, now_s: float) -> None:
        if now_s >= self._refresh_due_s:
            self._look_at_all(now_s)
        else:
            for d_bid in sorted(self._stale, key=int):  # a set's own order differs from process to process
                self._look_at(d_bid, now_s)
        self._stale.clear()

    def _look_at_all(self, now_s: float) -> None:
        usable = self._view.usable(now_s)
        expiry_s = min((binding.received_s for binding in usable), default=now_s) + self._view.lifetime_s
        interval_s = self._refresh_interval_s * max(1.0, len(usable) / _QUICKLY)
        self._refresh_due_s = min(now_s + interval_s, expiry_s)
        self._instances.clear()
        for binding in usable:
            self._instances[binding.d_bid] = self._instance(binding, now_s)
        self._selector.on_all_changed()
        self._shortlist = nsmallest(_RECORDED, self._instances.values(), key=lambda item: item.cost)

    def _look_at(self, d_bid: Address, now_s: float) -> None:
        known = self._instances.get(d_bid)
        binding = self._view.usable_one(d_bid, now_s)
        if binding is None:
            if known is not None:
                self._remove(known)
        elif known is None:
            self._add(self._instance(binding, now_s))
        else:
            known.candidate, known.measured_s = self._view.candidate(binding, now_s), binding.measured_s
            cost = self._selector.cost(known.candidate)
            if cost != known.cost:
                self._selector.on_cost(known, cost)

    def _instance(self, binding: Binding, now_s: float) -> Instance:
        candidate = self._view.candidate(binding, now_s)
        return Instance(candidate, binding.measured_s, self._selector.cost(candidate))

    def _add(self, instance: Instance) -> None:
        self._instances[instance.candidate.d_bid] = instance
        self._selector.on_added(instance)
        if len(self._shortlist) < _RECORDED:
            self._shortlist.append(instance)

    def _remove(self, instance: Instance) -> None:
        del self._instances[instance.candidate.d_bid]
        self._selector.on_removed(instance)
        if instance in self._shortlist:
            self._shortlist.remove(instance)
