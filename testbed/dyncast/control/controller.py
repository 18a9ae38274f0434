"""The controller of the centralized mode: it decides for all ingresses, by all reports that it receives.

Pure. Owns, for each ingress, the paths and flows that it reported, and the shares that it gets in turn; the policies
are those of any ingress. It computes the shares of one ingress after the other, and adds to every instance what the
others are about to send there: the flows that they assigned since their last status, by their shares and rate, and
those of the next interval. So they do not all go to the instance that is idle now. Section 3 of the Dyncast
architecture; "Centralized Model" of the CATS framework. docs/decisions/0013 says why so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.control.role import InstanceChange, Role, RoleContext, first_sequence, out_of_order, unexpected
from testbed.dyncast.messages.authentication import Refused
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.control_messages import WHOLE, AssignedFlows, IngressStatus, Path, Share, shares_parts
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import State
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.dyncast.policies import Candidate
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.selection import Selection
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from testbed.net.sequence_tracker import SequenceTracker

# How many flows a decision is made for: more than came recently may come at once, and to look far ahead takes long.
_LEAST_FLOWS, _MOST_FLOWS = 8, 256
_MOST_ASSIGNED = 10_000  # instances that an ingress may have assigned flows to
_RATE_MEMORY = 0.5  # weight of what an ingress's rate was, against what it reports


class PlannedView(InstanceView):
    """The view of an ingress, where others are about to send flows: `planned` has how many, by D-BID."""

    def __init__(self, state: NodeState, service: str, d_sid: Address, planned: Mapping[Address, float]) -> None:
        super().__init__(state, service, d_sid)
        self._planned = planned

    def candidate(self, binding: Binding, now_s: float) -> Candidate:
        """Return an instance with the flows that others are about to send."""
        item = super().candidate(binding, now_s)
        planned = self._planned.get(item.d_bid, 0.0)
        return item._replace(expected_sessions=item.expected_sessions + planned) if planned else item


class _Ingress:
    """What is known of an ingress. `shares` are those that were sent to it last."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.selections: dict[Address, Selection] = {}
        self.shares: dict[Address, dict[Address, int]] = {}
        self.rates_per_s: dict[Address, float] = defaultdict(float)  # by D-SID
        self.sent_s = -math.inf
        self._span_s = 0.0
        self._assigned: dict[tuple[Address, Address], int] = {}

    def receive(self, status: IngressStatus, is_settled: bool) -> Iterator[tuple[AssignedFlows, int, float]]:
        """Take in a status; yield the instances that got new flows, how many, and when about."""
        if status.sent_s > self.sent_s:
            self._span_s = status.sent_s - self.sent_s if math.isfinite(self.sent_s) else 0.0
            self.sent_s = status.sent_s
            for d_sid in self.rates_per_s:
                self.rates_per_s[d_sid] *= _RATE_MEMORY
        self.paths.update({path.site: path for path in status.paths})
        for assigned in status.assigned:
            before = self._assigned.get((assigned.d_sid, assigned.d_bid), 0)
            self._assigned[assigned.d_sid, assigned.d_bid] = assigned.flows
            new = assigned.flows - before if assigned.flows >= before else assigned.flows
            if new and is_settled and self._span_s > 0:
                self.rates_per_s[assigned.d_sid] += (1 - _RATE_MEMORY) * new / self._span_s
                yield assigned, new, status.sent_s - self._span_s / 2

    def has_room_for(self, assigned: AssignedFlows) -> bool:
        """Return whether an instance is known already or one of not too many."""
        return len(self._assigned) < _MOST_ASSIGNED or (assigned.d_sid, assigned.d_bid) in self._assigned

    @property
    def unreachable(self) -> set[str]:
        """The sites that it cannot reach."""
        return {path.site for path in self.paths.values() if not path.is_reachable}

    def flows_in(self, duration_s: float, holding_s: Callable[[Address], float]) -> Iterator[tuple[Address, float]]:
        """Yield how many flows it assigns to each instance in so long, by its shares, less those that end by then.

        `holding_s` says how long those to a D-SID last.
        """
        for d_sid, shares in self.shares.items():
            flows = self.rates_per_s[d_sid] * max(0.0, min(duration_s, holding_s(d_sid)))
            for d_bid, share in shares.items():
                yield d_bid, flows * share / WHOLE


class Controller(Role):
    """The role of the D-Router that decides. As an ingress it decides flow by flow, being there itself."""

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._ingresses: dict[str, _Ingress] = {}
        self._planned: dict[Address, float] = {}
        self._statuses = SequenceTracker(context.control.lifetime_s)
        self._states: dict[tuple[Address, Address], State] = {}
        self._sequence = 0
        self._began_s: float | None = None
        self._next_s: float | None = None

    def view(self, service: Service, d_sid: Address) -> InstanceView:
        """Return the view from here, with what others are about to send."""
        return PlannedView(self._state, service.name, d_sid, self._planned)

    def audience(self) -> tuple[str, ...]:
        """Reports are for the controller alone."""
        return ()

    def on_report(self, report: Report, now_s: float) -> None:
        """Learn; update ingresses at once if an instance may take flows that could not, or the other way round."""
        super().on_report(report, now_s)
        for binding in report.bindings:
            key = (binding.d_sid, binding.d_bid)
            if self._states.get(key) is not binding.state or binding.state is State.DOWN:
                self._next_s = now_s
            self._states[key] = binding.state

    def on_message(self, message: Message, epoch: int, now_s: float) -> list[InstanceChange]:
        """Take in what an ingress measured and assigned."""
        if not isinstance(message, IngressStatus):
            raise unexpected(message)
        if message.site not in self._context.peers:
            raise Refused("statuses_unknown_site", "unknown site", message)
        if not self._statuses.admit(message.site, epoch, message.sequence, now_s):
            raise out_of_order(message)
        known = self._ingresses.get(message.site)
        ingress = known or self._ingresses.setdefault(message.site, self._new_ingress(message.site))
        unreachable = ingress.unreachable
        status = self._kept_of(message, ingress)
        for assigned, flows, assigned_s in ingress.receive(status, self._is_settled(now_s)):
            if self._state.bindings.get(assigned.d_sid, assigned.d_bid) is not None:
                self._state.sessions.on_assigned(assigned.d_bid, assigned_s, flows)
        if known is None or ingress.unreachable != unreachable:
            self._next_s = now_s
        return []

    def _kept_of(self, status: IngressStatus, ingress: _Ingress) -> IngressStatus:
        """Return a status without paths to no site, services that there are not, and more instances than may be."""
        sites, services = {*self._context.peers, self._state.site}, self._context.services
        return replace(
            status,
            paths=tuple(path for path in status.paths if path.site in sites),
            assigned=tuple(item for item in status.assigned if item.d_sid in services and ingress.has_room_for(item)),
        )

    def _new_ingress(self, site: str) -> _Ingress:
        ingress, policies = _Ingress(), self._context.policies
        state = replace(self._state, site=site, paths=ingress.paths)
        for d_sid, service in self._context.services.items():
            view = PlannedView(state, service.name, d_sid, self._planned)
            policy = policies.create(service.policy)
            ingress.selections[d_sid] = policies.selection(view, policy, refresh_interval_s=0.0)
        return ingress

    def _is_settled(self, now_s: float) -> bool:
        return self._began_s is not None and now_s - self._began_s >= self._context.control.settle_s

    def next_timer_s(self) -> float:
        """Return when shares are due."""
        if self._began_s is None:
            return -math.inf
        settled_s = self._began_s + self._context.control.settle_s
        return settled_s if self._next_s is None else max(settled_s, self._next_s)

    def on_timer(self, now_s: float) -> list[SendMessage]:
        """Send each ingress its shares: at the interval, and at once when a state or a path changed."""
        if self._began_s is None:
            self._began_s, self._sequence = now_s, first_sequence(now_s)
        if not self._is_settled(now_s) or (self._next_s is not None and now_s < self._next_s):
            return []
        self._next_s = now_s + self._context.control.interval_s
        return self._decide(now_s)

    def _decide(self, now_s: float) -> list[SendMessage]:
        reporting = {
            site: ingress
            for site, ingress in sorted(self._ingresses.items())
            if now_s - ingress.sent_s <= self._context.control.lifetime_s
        }
        coming: dict[Address, float] = {}
        self._planned.clear()
        for ingress in reporting.values():
            _add(self._planned, ingress.flows_in(now_s - ingress.sent_s, self._holding_s))
        actions = []
        for site, ingress in reporting.items():
            shares = [share for d_sid in ingress.selections for share in self._shares(ingress, d_sid, now_s)]
            following = list(ingress.flows_in(self._context.control.interval_s, self._holding_s))
            _add(self._planned, following)
            _add(coming, following)
            parts = shares_parts(self._state.site, self._sequence, now_s, shares)
            self._sequence += len(parts)
            actions += [self._context.outgoing.message(site, part, "shares") for part in parts]
        for d_bid, flows in coming.items():  # until the next time, half of them are there on average
            self._planned[d_bid] -= flows / 2
        return actions

    def _holding_s(self, d_sid: Address) -> float:
        return self._state.sessions.holding_time_s(self._context.services[d_sid].name)

    def _shares(self, ingress: _Ingress, d_sid: Address, now_s: float) -> list[Share]:
        selection = ingress.selections[d_sid]
        expected = math.ceil(ingress.rates_per_s[d_sid] * self._context.control.interval_s)
        flows = min(_MOST_FLOWS, max(_LEAST_FLOWS, expected)) if selection.counts_flows else WHOLE
        ingress.shares[d_sid] = shares = apportion(selection.shares(flows, now_s), WHOLE)
        return [
            Share(d_sid, item.d_bid, item.site, self._state_of(item), shares.get(item.d_bid, 0), item.measured_s)
            for item in self._state.bindings.of(d_sid)
        ]

    def _state_of(self, binding: Binding) -> State:
        """One that may be down gets no flows, and keeps those it has until that is sure."""
        if binding.state is State.DOWN and not self._context.failures.has_failed(binding.d_sid, binding.d_bid):
            return State.DRAINING
        return binding.state


def _add(total: dict[Address, float], flows: Iterable[tuple[Address, float]]) -> None:
    for d_bid, count in flows:
        total[d_bid] = total.get(d_bid, 0.0) + count


def apportion(weights: Mapping[Address, int], whole: int) -> dict[Address, int]:
    """Return whole numbers that sum up to `whole`: one for each positive weight, the rest in proportion to them.

    By largest remainders. If there are more weights than that, the largest get one.
    """
    heaviest = sorted((item for item in weights if weights[item] > 0), key=lambda item: -weights[item])[:whole]
    if not heaviest:
        return {}
    rest, total = whole - len(heaviest), sum(weights[item] for item in heaviest)
    assigned = {item: 1 + weights[item] * rest // total for item in heaviest}
    by_remainder = sorted(heaviest, key=lambda item: -(weights[item] * rest % total))
    for item in by_remainder[: whole - sum(assigned.values())]:
        assigned[item] += 1
    return assigned
