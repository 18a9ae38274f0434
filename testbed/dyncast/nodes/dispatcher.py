"""The CFN Dispatcher: the flow binding table of a few clients, kept for their CFN node.

Pure, as the D-Router is: packets, messages, switch events and time go in, actions come out. It receives no metrics and
decides nothing (section 4.5 of the CFN-Dyncast architecture; docs/decisions/0015). The first packet of a flow goes on
to the CFN node, which says which instance serves the flow; it and those that follow are held here meanwhile, and none
goes to an instance but by the binding. So a flow has one instance whatever is lost, late or said twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from testbed.dyncast.actions import (
    Action,
    DropHeld,
    DropPacket,
    HoldPacket,
    InstallAffinity,
    InterceptService,
    Output,
    ReleasePackets,
    RequestSelection,
    TrackReverseFlows,
    TrackUplink,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityTable, HeldFlow
from testbed.dyncast.messages.admission import Admission
from testbed.dyncast.messages.authentication import Authenticator, Refused
from testbed.dyncast.messages.dispatch_messages import Assignment, Cause, Withdrawal
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.nodes.affinity_keeper import BindingKeeper
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FlowKey
from testbed.net.token_bucket import Rate

_MOST_ASKING = 4096  # flows at once
_MOST_HELD = 64  # packets of one of them
_ASK_AGAIN_S = 0.5  # twice as long after each time
_MOST_ASKS = 4
_NO_REPORTS = Rate(per_s=1, burst=1)


@dataclass(frozen=True)
class DispatcherConfig:
    """What configures a Dispatcher. `prefixes` hold its clients, `uplink_port` leads to its CFN node."""

    site: str
    cfn_node: str
    tells: str
    uplink_port: int
    services: tuple[Service, ...]
    prefixes: tuple[Network, ...] = ()
    message_lifetime_s: float = 10.0


@dataclass
class _Asking:
    """A flow whose instance is not known yet: the headers of the packet that was shown to the CFN node, and so on."""

    packet: FlowKey
    held: int = 1
    asks: int = 0
    asked_s: float = 0.0

    @property
    def ask_again_s(self) -> float:
        return self.asked_s + _ASK_AGAIN_S * (1 << max(0, self.asks - 1))


class Dispatcher:
    """One CFN Dispatcher. Without `authenticator` it believes every message in the name of its CFN node."""

    def __init__(self, config: DispatcherConfig, authenticator: Authenticator | None = None) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self.services = {d_sid: service for service in config.services for d_sid in service.d_sids}
        self.affinity = AffinityTable()
        self.keeper = BindingKeeper(self.affinity, self.counters, self._service_of)
        self.bindings = BindingTable(config.message_lifetime_s)  # stays empty: it takes no part in status updates
        self._admission = Admission({}, _NO_REPORTS, config.message_lifetime_s, authenticator, self.counters)
        self._asking: dict[FlowKey, _Asking] = {}
        self._tracked: set[Address] = set()  # instances that flows were bound to
        self._withdrawn: dict[FlowKey, float] = {}  # flows that lost their instance, until they have another
        self._next_s = math.inf  # nothing is due before

    # -- the switch ------------------------------------------------------------------------------

    def on_switch_connected(self, now_s: float, held: Collection[HeldFlow] = ()) -> list[Action]:
        """Put everything this Dispatcher knows into a switch; `held` is what a former process left in it."""
        self.counters["switch_connected"] += 1
        self._tracked.update(item.d_bid for item in held)
        return [
            *self.keeper.on_switch_connected(held, now_s),
            *(InterceptService(d_sid) for d_sid in self.services),
            *map(TrackReverseFlows, self._tracked),
            TrackUplink(self.config.prefixes, brings_back=self.config.tells == "implicit"),
        ]

    def on_packet(self, packet: FlowKey, now_s: float, in_port: int = 0, *, tunnelled: bool = False) -> list[Action]:
        """Steer a packet to a D-SID that the switch had no entry for, or learn from one that came back."""
        if tunnelled:
            return self._drop("tunnelled_astray")
        if in_port == self.config.uplink_port:
            is_answer = self.config.tells == "implicit"  # otherwise it may be anybody's
            return self._on_returned(packet, now_s) if is_answer else self._drop("returned_unasked")
        service = self.services.get(packet.dst)
        if service is None:
            return self._drop("unknown_d_sid")
        if service.identifies_by_ports and packet.lacks_ports:
            return self._drop("no_ports")
        flow = service.identifier(packet)
        entry = self.affinity.find(flow)
        if entry is not None:
            return self.keeper.follow(entry, now_s)
        asking = self._asking.get(flow)
        if asking is not None:
            if asking.held >= _MOST_HELD:
                return self._drop("too_many_held")
            asking.held += 1
            return [HoldPacket(flow)]
        if len(self._asking) >= _MOST_ASKING:
            return self._drop("too_many_asking")
        self._asking[flow] = _Asking(packet)
        return [HoldPacket(flow), *self._ask(flow, now_s)]

    def _service_of(self, flow: FlowKey) -> Service | None:
        return self.services.get(flow.dst)

    def reset_flows(self, services: Collection[Service], start: int, slots: int) -> tuple[list[Action], int | None]:
        """End the flows of services that are bound in some slots; return the slot to go on from (None: all ended)."""
        return self.keeper.reset(services, start, slots)

    # -- asking ----------------------------------------------------------------------------------

    def _ask(self, flow: FlowKey, now_s: float) -> list[Action]:
        asking = self._asking[flow]
        asking.asked_s = now_s
        self._next_s = min(self._next_s, now_s + _ASK_AGAIN_S)
        if self.config.tells == "implicit" and self._looks_like_another(flow):
            return []  # the one that would come back could be of either; later
        asking.asks += 1
        self.counters["flows_asked" if asking.asks == 1 else "flows_asked_again"] += 1
        return [RequestSelection(flow)]

    def _looks_like_another(self, flow: FlowKey) -> bool:
        d_sids = (d_sid for d_sid in self.services if d_sid != flow.dst)
        packet = self._asking[flow].packet
        others = (self._asking_with(packet._replace(dst=d_sid)) for d_sid in d_sids)
        return any(other is not None and self._asking[other].asks > 0 for other in others)

    def _asking_with(self, packet: FlowKey) -> FlowKey | None:
        """Return the flow that was or will be asked about by showing this very packet."""
        flow = self.services[packet.dst].identifier(packet)
        asking = self._asking.get(flow)
        return flow if asking is not None and asking.packet == packet else None

    def _on_returned(self, packet: FlowKey, now_s: float) -> list[Action]:
        """Learn the instance of a flow from its first packet, which the CFN node sent back."""
        if packet.dst in self.services:
            flow = self._asking_with(packet)
            return self._refuse(flow) if flow else self._unexpected()
        d_sids = (d_sid for d_sid in self.services if d_sid.version == packet.dst.version)
        for d_sid in d_sids:
            flow = self._asking_with(packet._replace(dst=d_sid))
            if flow is not None and self._asking[flow].asks:
                return self._bind(flow, packet.dst, "", self.services[d_sid].affinity_timeout_s, now_s)
        return self._unexpected()

    # -- in-band messages ------------------------------------------------------------------------

    def on_message(
        self,
        data: bytes,
        source: Address,
        now_s: float,
        arrived_s: float | None = None,  # noqa: ARG002
    ) -> Sequence[Output]:
        """Take in what the CFN node says; what is not to be believed is counted and dropped."""
        try:
            message, _ = self._admission.admit(data, now_s)
            if message.site != self.config.cfn_node:
                raise Refused("messages_unknown_sender", "not of the CFN node", message)
        except Refused as refused:
            return self._admission.refuse(refused, source, now_s)
        if isinstance(message, Withdrawal):
            return self._on_withdrawal(message, now_s)
        if isinstance(message, Assignment):
            return self._on_assignment(message, now_s)
        self.counters["messages_unexpected"] += 1
        return []

    def _on_assignment(self, message: Assignment, now_s: float) -> list[Action]:
        if message.flow not in self._asking:
            return self._unexpected()
        if message.d_bid is None:
            return self._refuse(message.flow)
        return self._bind(message.flow, message.d_bid, message.egress, message.timeout_s, now_s)

    def _on_withdrawal(self, message: Withdrawal, now_s: float) -> list[Action]:
        causes = {(item.d_sid, item.d_bid): item.cause for item in message.bindings}
        if not any(flows for target, flows in self.affinity.counts().items() if target in causes):
            return []  # nearly all of them are repetitions
        actions: list[Action] = []
        for entry in self.affinity:
            cause = causes.get((entry.d_sid, entry.d_bid))
            if cause is not None:
                self.counters["flows_broken" if cause is Cause.DIED else "flows_cut_off"] += 1
                self._withdrawn[entry.flow] = until_s = now_s + entry.timeout_s
                self._next_s = min(self._next_s, until_s)
                actions += self.keeper.end(entry)
        return actions

    def _bind(self, flow: FlowKey, d_bid: Address, egress: str, timeout_s: int, now_s: float) -> list[Action]:
        if self.affinity.reverse_key_taken(flow, d_bid):
            return self._abandon(flow, "way_home_taken")
        del self._asking[flow]
        if self._withdrawn.pop(flow, None) is not None:
            self.counters["flows_redispatched"] += 1
        self.counters["flows_bound"] += 1
        new = [d_bid] if d_bid not in self._tracked else []
        self._tracked.update(new)
        entry = self.affinity.bind(flow, d_bid, egress, timeout_s, now_s)
        return [*map(TrackReverseFlows, new), InstallAffinity(entry), ReleasePackets(entry)]

    def _refuse(self, flow: FlowKey) -> list[Action]:
        """Forget a flow that no instance takes; the CFN node refuses it to its sender."""
        self.counters["refused_no_instance"] += 1
        del self._asking[flow]
        return [DropHeld(flow)]

    def _unexpected(self) -> list[Action]:
        """Count an answer that nobody waits for: the second to a flow that was asked about twice, or too late."""
        self.counters["answers_unexpected"] += 1
        return []

    # -- time ------------------------------------------------------------------------------------

    def next_timer_s(self) -> float:
        """Return when `on_timer` may have something to do; to be asked again after each input."""
        return self._next_s

    def on_timer(self, now_s: float) -> list[Action]:
        """Ask again about flows that were not answered; give up those that never are."""
        for flow in [flow for flow, until_s in self._withdrawn.items() if until_s <= now_s]:
            del self._withdrawn[flow]
        actions: list[Action] = []
        for flow in [flow for flow, asking in self._asking.items() if asking.ask_again_s <= now_s]:
            if self._asking[flow].asks >= _MOST_ASKS:
                actions += self._abandon(flow, "unanswered")
            else:
                actions += self._ask(flow, now_s)
        again_s = (asking.ask_again_s for asking in self._asking.values())
        self._next_s = min((*again_s, *self._withdrawn.values()), default=math.inf)
        return actions

    def _abandon(self, flow: FlowKey, reason: str) -> list[Action]:
        self.counters[f"dropped_{reason}"] += self._asking.pop(flow).held
        return [DropHeld(flow)]

    def _drop(self, reason: str) -> list[Action]:
        self.counters[f"dropped_{reason}"] += 1
        return [DropPacket(reason)]
