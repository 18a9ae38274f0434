"""What an ingress would make of instances if it knew them as they are: for the policy `oracle` alone.

Pure: the true state comes through a port, `TrueStates`, that adapters implement with shared memory and models with the
queues themselves. Metrics and sessions are then those of this very moment. What is *not* known beyond what other
policies know: whether an instance is up and which sites can be reached (by reports and probes, delayed), the round
trips (measured), and the mean service time (learnt over reports, since even the instance's own recent one is noise).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.policies import Candidate
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address


class TrueStates(Protocol):
    """What all ingresses and instances know of each other, at once."""

    def of(self, d_bid: Address, now_s: float) -> RawMetrics | None:
        """Return what an instance is like now; None if it does not say."""

    def send(self, d_bid: Address, arrives_s: float) -> None:
        """Show all ingresses a flow that was assigned to an instance, which will have it by then."""

    def under_way(self, d_bid: Address, now_s: float) -> int:
        """Return how many flows any ingress assigned to an instance that have not arrived."""


class OracleView(InstanceView):
    """The view of a node, without delay. Raises ValueError without `true_states`: it could not see."""

    current_for_s = 0.0

    def __init__(self, state: NodeState, service: str, d_sid: Address, true_states: TrueStates | None) -> None:
        if true_states is None:
            raise ValueError("the policy oracle needs the true states of instances")
        super().__init__(state, service, d_sid)
        self._true_states = true_states

    def usable(self, now_s: float) -> list[Binding]:
        """As reported, each with its true metrics."""
        return [self._as_it_is(binding, now_s) for binding in super().usable(now_s)]

    def usable_one(self, d_bid: Address, now_s: float) -> Binding | None:
        """As reported, with its true metrics."""
        binding = super().usable_one(d_bid, now_s)
        return None if binding is None else self._as_it_is(binding, now_s)

    def candidate(self, binding: Binding, now_s: float) -> Candidate:
        """Return an instance as it is, and with the sessions that it will have when the flows under way arrive."""
        item = super().candidate(binding, now_s)
        if item.metrics is None:
            return item
        under_way = self._true_states.under_way(item.d_bid, now_s)
        expected = float(item.metrics.sessions + under_way)
        return item._replace(expected_sessions=expected, sessions_variance=0.0, unreported=under_way, herding_gain=0.0)

    def on_assigned(self, d_bid: Address, flows: int, now_s: float) -> None:
        """Show the other ingresses the flow, too."""
        super().on_assigned(d_bid, flows, now_s)
        binding = self.state.bindings.get(self.d_sid, d_bid)
        travel_s = self.state.travel_s(self.service, binding.site) if binding else 0.0
        for _ in range(flows):
            self._true_states.send(d_bid, now_s + travel_s)

    def _as_it_is(self, binding: Binding, now_s: float) -> Binding:
        raw = self._true_states.of(binding.d_bid, now_s)
        return binding if raw is None else replace(binding, raw=raw, measured_s=now_s)
