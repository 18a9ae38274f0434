"""An ingress in the centralized mode: it measures and counts for the controller, and shares flows out as that says.

Pure. Owns the last message of the controller and for how long it is good. The decision is not made here; what was
decided goes through the same `Selection` as any policy, as weights, so that reactive mode draws from the shares and
datapath mode hands them to the switch. Two things an ingress knows better and at once: which paths are dead, and for
how long the controller has been silent. Section 3 of the Dyncast architecture; "Centralized Model" of the CATS
framework.
"""

from __future__ import annotations

import math
from collections import ChainMap, Counter
from collections.abc import Mapping

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.control.role import InstanceChange, Role, RoleContext, first_sequence, out_of_order, unexpected
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.control_messages import AssignedFlows, Path, Share, Shares, status_parts
from testbed.dyncast.metrics.levels import UNSCORED
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.policies import Candidate, Policy, Proportional
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from testbed.net.sequence_tracker import SEQUENCE_SPACE, SequenceTracker


class AssignedPolicy(Proportional):
    """Share flows out as the controller says."""

    def __init__(self, shares: Mapping[Address, int]) -> None:
        self._shares = shares

    def weight(self, item: Candidate) -> float:
        """The share of an instance; only those that have one are candidates."""
        return float(self._shares[item.d_bid])


class AssignedView(InstanceView):
    """Those instances that the controller assigns a share, as far as the path to them is not known to be dead."""

    def __init__(
        self,
        state: NodeState,
        service: str,
        d_sid: Address,
        shares: Mapping[Address, int],
        assigned: Counter[tuple[Address, Address]],
    ) -> None:
        super().__init__(state, service, d_sid)
        self._shares = shares
        self._assigned = assigned

    def usable(self, now_s: float) -> list[Binding]:
        """Return the instances that get flows."""
        return [binding for binding in super().usable(now_s) if binding.d_bid in self._shares]

    def usable_one(self, d_bid: Address, now_s: float) -> Binding | None:
        """Return one instance, if it gets flows."""
        return super().usable_one(d_bid, now_s) if d_bid in self._shares else None

    def candidate(self, binding: Binding, now_s: float) -> Candidate:
        """Return an instance without metrics, which are the controller's."""
        path = self.state.paths.get(binding.site)
        return Candidate(
            binding.d_bid,
            binding.site,
            path.path_cost_ms if path else 0.0,
            path.cost_s if path else 0.0,
            None,
            now_s - binding.measured_s,
        )

    def on_assigned(self, d_bid: Address, flows: int, now_s: float) -> None:  # noqa: ARG002
        """Count flows for the controller."""
        self._assigned[self.d_sid, d_bid] += flows


class Follower(Role):
    """The role of an ingress that is not the controller."""

    accepts_reports = False

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._shares: dict[Address, dict[Address, int]] = {d_sid: {} for d_sid in context.services}
        self._assigned: Counter[tuple[Address, Address]] = Counter()
        self._decisions = SequenceTracker(context.control.lifetime_s)
        self._pending: tuple[int, int] | None = None  # epoch and first sequence of the decision that parts come of
        self._parts: dict[int, Shares] = {}
        self._sequence: int | None = None
        self._next_s: float | None = None
        self._lost: set[str] = set()
        self._received_s: float | None = None
        self._is_alone = False

    def view(self, service: Service, d_sid: Address) -> InstanceView:
        """Return the instances of a D-SID that the controller assigns a share."""
        return AssignedView(self._state, service.name, d_sid, self._shares[d_sid], self._assigned)

    def policy(self, service: Service) -> Policy:
        """Return the policy of following."""
        return AssignedPolicy(ChainMap(*(self._shares[d_sid] for d_sid in service.d_sids)))

    def on_message(self, message: Message, epoch: int, now_s: float) -> list[InstanceChange]:
        """Take in a decision of the controller, once all its parts are there."""
        if not isinstance(message, Shares) or message.site != self._context.control.controller:
            raise unexpected(message)
        first = (message.sequence - message.part) % SEQUENCE_SPACE
        if (epoch, first) != self._pending:
            if not self._decisions.admit(message.site, epoch, first, now_s):
                raise out_of_order(message)
            self._pending, self._parts = (epoch, first), {}
        self._parts[message.part] = message
        if len(self._parts) < message.parts:
            return []
        shares = [share for part in self._parts.values() for share in part.shares]
        self._pending, self._received_s = None, now_s
        return self._obey(shares, now_s)

    def _obey(self, shares: list[Share], now_s: float) -> list[InstanceChange]:
        """Put a decision into effect. It is about all instances of its D-SIDs: one that it leaves out has no share."""
        shares = [share for share in shares if self._concerns_us(share)]
        for share in shares:
            self._state.bindings.put(
                Binding(share.d_sid, share.d_bid, share.egress, share.state, None, UNSCORED, share.measured_s, now_s)
            )
        for d_sid in {share.d_sid for share in shares}:
            of_d_sid = self._shares[d_sid]
            before = of_d_sid.copy()
            of_d_sid.clear()
            of_d_sid.update({share.d_bid: share.share for share in shares if share.d_sid == d_sid and share.share})
            self._state.counters["shares_changed"] += before != of_d_sid
        return [InstanceChange(share.d_sid, share.d_bid, share.state) for share in shares]

    def _concerns_us(self, share: Share) -> bool:
        is_site = share.egress == self._state.site or share.egress in self._state.paths
        has_room_for = self._state.bindings.has_room_for
        return is_site and share.d_sid in self._shares and has_room_for(share.egress, share.d_sid, share.d_bid)

    def next_timer_s(self) -> float:
        """Return when the next status is due, or the controller has been silent for too long."""
        if self._next_s is None:
            return -math.inf
        if self._received_s is None or self._is_alone:
            return self._next_s
        return min(self._next_s, self._received_s + self._context.control.lifetime_s)

    def on_timer(self, now_s: float) -> list[SendMessage]:
        """Report paths and flows to the controller: at the interval, and at once when a path died or came back."""
        self._notice_silence(now_s)
        lost = {site for site, path in self._state.paths.items() if not path.is_reachable}
        if self._next_s is not None and now_s < self._next_s and lost == self._lost:
            return []
        self._lost = lost
        self._next_s = now_s + self._context.control.interval_s
        paths = [
            Path(site, path.path_cost_ms, path.cost_s, path.port_cost_s, path.is_reachable)
            for site, path in self._state.paths.items()
        ]
        assigned = [AssignedFlows(*of, flows) for of, flows in self._assigned.items()]
        first = first_sequence(now_s) if self._sequence is None else self._sequence
        parts = status_parts(self._state.site, first, now_s, paths, assigned)
        self._sequence = first + len(parts)
        return [
            self._context.outgoing.message(self._context.control.controller, part, "ingress_status") for part in parts
        ]

    def _notice_silence(self, now_s: float) -> None:
        is_alone = self._received_s is not None and now_s - self._received_s > self._context.control.lifetime_s
        if is_alone != self._is_alone:
            self._is_alone = is_alone
            self._state.counters["controller_lost" if is_alone else "controller_back"] += 1
