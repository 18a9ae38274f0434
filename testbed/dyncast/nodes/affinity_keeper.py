"""The flow binding table and the switch that carries it out, kept together: what D-Router and Dispatcher share.

Pure. Owns what becomes of a binding once it is there: entries put back, idle ends, recovery after a restart, ends by
reset. Which node decides where a flow goes, and why, is not known here. Figure 4 and section 4.5 of the CFN-Dyncast
architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from testbed.dyncast.actions import (
    Action,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    PassPacket,
    ReadReturnPackets,
    RemoveAffinity,
    ReversePacket,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry, AffinityTable, HeldFlow
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

ServiceOf = Callable[[FlowKey], Service | None]
"""From a flow to its service, if the node binds its flows."""

_REINSTALL_AFTER_S = 0.5  # a packet of a bound flow that still comes up this late: the switch lost the entry


class BindingKeeper:
    """Keeps a node's table and its switch together; `counters` are the node's."""

    def __init__(self, table: AffinityTable, counters: Counter[str], service_of: ServiceOf) -> None:
        self._table = table
        self._counters = counters
        self._service_of = service_of
        self._carried: set[int] = set()  # flows of which a packet went by here since their entry was written

    def on_forward_entry_removed(self, number: int, idle: bool) -> list[Action]:
        """Handle the removal of a flow's D-SID → D-BID entry; an idle flow may live on in the reverse direction."""
        entry = self._table.numbered(number)
        if entry is None:
            return []
        if idle and number in self._carried:
            self._carried.discard(number)
            return [InstallAffinity(entry)]
        if idle:
            return [ReadReturnPackets(entry)]
        return self.end(entry)

    def on_return_packets(self, number: int, packets: int, now_s: float) -> list[Action]:
        """Handle the count of packets on the reverse path of a flow whose forward entry idled out; keep or end it."""
        entry = self._table.numbered(number)
        if entry is None:
            return []
        if packets != entry.return_packets:  # re-installing may have reset the count
            return [InstallAffinity(self._table.renew(entry, now_s, packets))]
        return self.end(entry)

    def on_switch_connected(self, held: Collection[HeldFlow], now_s: float) -> list[Action]:
        """Take in what a switch `held` from a former process; a switch that held nothing gets all bindings."""
        actions: list[Action] = []
        known: list[AffinityEntry] = []
        for item in held:
            service = self._service_of(item.flow)
            timeout_s = service.affinity_timeout_s if service else 0
            # Which site the instance is of will be known when it is next reported.
            entry = AffinityEntry(item.number, item.flow, item.d_bid, "", timeout_s, now_s - item.age_s, now_s)
            if not (item.has_reverse and service and service.is_identified_by(item.flow)):
                self._counters["bindings_not_recovered"] += 1
                actions.append(RemoveAffinity(entry))
                continue
            self._counters["bindings_recovered"] += 1
            known.append(entry)
            if not item.has_forward:  # it idled out, and no node received that; the reverse path may be in use
                actions.append(InstallAffinity(entry))
        self._table.restore(known)
        if not held:
            actions += [InstallAffinity(self._table.renew(entry, now_s)) for entry in self._table]
        return actions

    def on_fragment(self, packet: FlowKey) -> list[Action] | None:
        """Steer a fragment of a bound flow, either way; None if it is a packet for the node to bind.

        `packet` has the ports of the first fragment. No fragment passes an entry of its flow, so the flow is kept here.
        """
        service = self._service_of(packet)
        if service is not None:
            entry = self._table.find(service.identifier(packet))
            if entry is None or entry.d_bid == packet.src:
                return None
            return self._carry(entry, ForwardPacket(entry))
        entry = self._bound_to_sender(packet)
        return [PassPacket()] if entry is None else self._carry(entry, ReversePacket(entry))

    def on_icmp_error(self, quoted: FlowKey) -> list[Action]:
        """Steer an ICMP error to who sent the packet that it quotes, the headers of which are `quoted`."""
        service = self._service_of(quoted.reversed())
        if service is None:  # a client sent it, or the switch has not rewritten it
            entry = self._bound_to_sender(quoted.reversed())
            return [PassPacket()] if entry is None else self._error(ReversePacket(entry))
        entry = self._table.find(service.identifier(quoted.reversed()))
        if entry is None:
            self._counters["dropped_error_of_no_flow"] += 1
            return [DropPacket("error_of_no_flow")]
        return self._error(ForwardPacket(entry))

    def _bound_to_sender(self, packet: FlowKey) -> AffinityEntry | None:
        """Return the bound flow that a packet of an instance belongs to; of several the narrowest, as in the switch."""
        answered = packet.reversed()
        found: list[tuple[int, int, AffinityEntry]] = []
        for d_sid in self._table.d_sids_of(answered.dst):
            flow = answered._replace(dst=d_sid)
            service = self._service_of(flow)
            if service is None or service.steering != "rewrite":
                continue
            entry = self._table.find(service.identifier(flow))
            if entry is not None and entry.d_bid == answered.dst:
                found.append((len(service.flow_fields), -service.port_block, entry))
        return max(found, key=lambda item: item[:2])[2] if found else None

    def _carry(self, entry: AffinityEntry, action: ForwardPacket | ReversePacket) -> list[Action]:
        self._carried.add(entry.number)
        self._counters["fragments_steered"] += 1
        return [action]

    def _error(self, action: ForwardPacket | ReversePacket) -> list[Action]:
        self._counters["errors_steered"] += 1
        return [action]

    def follow(self, entry: AffinityEntry, now_s: float) -> list[Action]:
        """Steer a packet that came up although its flow is bound."""
        self._counters["packets_before_entry"] += 1
        if now_s - entry.installed_s < _REINSTALL_AFTER_S:
            return [ForwardPacket(entry)]
        entry = self._table.renew(entry, now_s)
        return [InstallAffinity(entry), ForwardPacket(entry)]

    def reset(self, services: Collection[Service], start: int, slots: int) -> tuple[list[Action], int | None]:
        """End the flows of services in some slots of the table; return the slot to go on from, too."""
        d_sids = {d_sid for service in services for d_sid in service.d_sids}
        entries, following = self._table.page(start, slots)
        ended = [entry for entry in entries if entry.d_sid in d_sids]
        self._counters["bindings_reset"] += len(ended)
        return [action for entry in ended for action in self.end(entry)], following

    def break_flows(self, d_sid: Address, d_bids: Collection[Address | None]) -> list[Action]:
        """End the flows to a D-SID that are bound to instances that failed."""
        broken = [entry for entry in self._table if entry.d_bid in d_bids and entry.d_sid == d_sid]
        self._counters["flows_broken"] += len(broken)
        return [action for entry in broken for action in self.end(entry)]

    def end(self, entry: AffinityEntry) -> list[Action]:
        """End a binding."""
        self._table.end(entry)
        self._carried.discard(entry.number)
        self._counters["bindings_ended"] += 1
        return [RemoveAffinity(entry)]
