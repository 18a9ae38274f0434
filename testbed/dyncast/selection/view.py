"""What an ingress makes of the instances behind one D-SID: reports, paths, and its own expectation, put together."""

from __future__ import annotations

import math

from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.policies import Candidate
from testbed.dyncast.selection.node_state import NodeState
from testbed.net.addresses import Address


class InstanceView:
    """The view of a node on one D-SID of a service. Holds no state of its own."""

    current_for_s = math.inf  # a decision must look again after this long; reports say when else

    def __init__(self, state: NodeState, service: str, d_sid: Address) -> None:
        self.state = state
        self.service = service
        self.d_sid = d_sid

    @property
    def lifetime_s(self) -> float:
        """How long a binding is usable that is not reported again."""
        return self.state.bindings.lifetime_s

    def usable(self, now_s: float) -> list[Binding]:
        """Return the instances that may take a flow now and that there is a path to."""
        return [binding for binding in self.state.bindings.usable(self.d_sid, now_s) if self._is_reachable(binding)]

    def usable_one(self, d_bid: Address, now_s: float) -> Binding | None:
        """Return one instance, if it may take a flow now and there is a path to it."""
        binding = self.state.bindings.get(self.d_sid, d_bid)
        if binding is None or not self.state.bindings.is_usable(binding, now_s) or not self._is_reachable(binding):
            return None
        return binding

    def candidate(self, binding: Binding, now_s: float) -> Candidate:
        """Return an instance as a policy weighs it."""
        path = self.state.paths.get(binding.site)
        age_s = now_s - binding.measured_s
        expected = self.state.sessions.expected(binding.d_bid, binding.raw.sessions if binding.raw else 0, now_s)
        return Candidate(
            binding.d_bid,
            binding.site,
            path.path_cost_ms if path else 0.0,
            path.cost_s if path else 0.0,
            binding.raw,
            age_s,
            expected.sessions,
            self.state.sessions.load_per_session(self.service),
            self.state.sessions.unreported(binding.d_bid),
            expected.variance,
            expected.service_time_s,
            expected.herding_gain,
            binding.scores,
            path.port_cost_s if path else 0.0,
        )

    def on_assigned(self, d_bid: Address, flows: int, now_s: float) -> None:
        """Take note of flows that this ingress assigned to an instance."""
        self.state.sessions.on_assigned(d_bid, now_s, flows)

    def _is_reachable(self, binding: Binding) -> bool:
        if binding.site == self.state.site:
            return True
        path = self.state.paths.get(binding.site)
        return path is not None and path.is_reachable
