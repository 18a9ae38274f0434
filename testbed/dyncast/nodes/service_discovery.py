"""Which services there are, learnt from the reports that name their D-SIDs, at an ingress configured with none.

Pure. A member of a range of D-SIDs becomes a service with the first report of a usable instance, and is none any more
when the last such instance is gone. What a flow of it is, the report says (`service_offer`), or else the defaults of a
service; by which policy it is steered is the ingress's own business. docs/decisions/0016.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from testbed.dyncast.actions import Action, RefusePacket
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.messages.reports import BindingReport, Report
from testbed.dyncast.metrics.levels import State
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FIVE_TUPLE, FlowKey


class ServiceLearning:
    """Says which services to take up and to give up; its D-Router does so.

    Learns members of `ranges`, to be steered by `policy`; without a policy the services are as configured. `counters`
    takes what is learnt and what cannot be.
    """

    def __init__(self, ranges: Collection[Network], policy: str | None, counters: Counter[str]) -> None:
        self._ranges = ranges
        self._policy = policy
        self._counters = counters
        self._learnt: dict[Address, BindingReport] = {}  # by which each was

    def on_report(self, report: Report) -> list[Service]:
        """Return the services that a report makes known, each of one D-SID."""
        if self._policy is None:
            return []
        offers = [binding for binding in report.bindings if self.may_learn(binding.d_sid)]
        learnt = (self._on_offer(binding, self._policy) for binding in offers)
        return [service for service in learnt if service is not None]

    def _on_offer(self, binding: BindingReport, policy: str) -> Service | None:
        first = self._learnt.get(binding.d_sid)
        if first is not None and binding.offer not in (None, first.offer):
            self._counters["offers_conflicting"] += 1
        if first is not None or binding.state is not State.UP:
            return None
        try:
            service = _service(binding, policy)
        except ValueError:
            self._counters["offers_unusable"] += 1
            return None
        self._learnt[binding.d_sid] = binding
        self._counters["services_learnt"] += 1
        return service

    def may_learn(self, d_sid: Address) -> bool:
        """Return whether a D-SID is, or may become, a service that is learnt."""
        return self._policy is not None and self._is_member(d_sid)

    def forgotten(self, bindings: BindingTable, now_s: float) -> list[Address]:
        """Return the learnt D-SIDs that no instance serves any more, as far as this ingress knows, and forget them."""
        gone = [d_sid for d_sid in self._learnt if not bindings.usable(d_sid, now_s)]
        for d_sid in gone:
            del self._learnt[d_sid]
            self._counters["services_forgotten"] += 1
        return gone

    def on_unknown(self, d_sid: Address) -> list[Action] | None:
        """Refuse a packet to a member of a range that is no service; None if it is to no member."""
        if not self._is_member(d_sid):
            return None
        self._counters["unknown_d_sid"] += 1
        return [RefusePacket("unknown_d_sid")]

    def service_of(self, held: FlowKey) -> Service | None:
        """Return what service a flow is of that a switch holds from before this D-Router knew of any.

        The flow itself says it, except for how long it is bound.
        """
        if self._policy is None or not self._is_member(held.dst):
            return None
        fields = tuple(name for name in FIVE_TUPLE if getattr(held, name) is not None)
        return Service(str(held.dst), (held.dst,), self._policy, fields)

    def _is_member(self, d_sid: Address) -> bool:
        return any(d_sid in network for network in self._ranges)


def _service(binding: BindingReport, policy: str) -> Service:
    d_sids, offer = (binding.d_sid,), binding.offer
    if offer is None:
        return Service(str(binding.d_sid), d_sids, policy)
    fields, timeout_s = offer.flow_fields, offer.affinity_timeout_s
    return Service(offer.name, d_sids, policy, fields, timeout_s, port_block=offer.port_block)
