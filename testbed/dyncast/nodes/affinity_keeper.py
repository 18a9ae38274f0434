"""The flow binding table and the switch that carries it out, kept together: what D-Router and Dispatcher share.

Pure. Owns what becomes of a binding once it is there: entries put back, idle ends, recovery after a restart, ends by
reset. Who decides where a flow goes, and why, is not known here. Figure 4 and section 4.5 of the CFN-Dyncast
architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from testbed.dyncast.actions import (
    Action,
    ForwardPacket,
    InstallAffinity,
    ReadReturnPackets,
    RemoveAffinity,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry, AffinityTable, HeldFlow
from testbed.net.flow_key import FlowKey

_REINSTALL_AFTER_S = 0.5  # a packet of a bound flow that still comes up this late: the switch lost the entry


class BindingKeeper:
    """Keeps a node's table and its switch together; `counters` are the node's."""

    def __init__(self, table: AffinityTable, counters: Counter[str]) -> None:
        self._table = table
        self._counters = counters

    def on_forward_entry_removed(self, number: int, idle: bool) -> list[Action]:
        """Hear that a flow's D-SID → D-BID entry left the switch; idle flows may live on in the reverse direction."""
        entry = self._table.numbered(number)
        if entry is None:
            return []
        if idle:
            return [ReadReturnPackets(entry)]
        return self.end(entry)

    def on_return_packets(self, number: int, packets: int, now_s: float) -> list[Action]:
        """Hear how many packets came home on a flow whose forward entry idled out; keep or end it."""
        entry = self._table.numbered(number)
        if entry is None:
            return []
        if packets != entry.return_packets:  # re-installing may have reset the count
            return [InstallAffinity(self._table.renew(entry, now_s, packets))]
        return self.end(entry)

    def on_switch_connected(
        self, held: Collection[HeldFlow], service_of: Callable[[FlowKey], Service | None], now_s: float
    ) -> list[Action]:
        """Take in what a switch `held` from a former process; a switch that held nothing gets all bindings.

        `service_of`: the service that a flow is of, if the node binds its flows.
        """
        actions: list[Action] = []
        known: list[AffinityEntry] = []
        for item in held:
            service = service_of(item.flow)
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

    def end(self, entry: AffinityEntry) -> list[Action]:
        """End a binding."""
        self._table.end(entry)
        self._counters["bindings_ended"] += 1
        return [RemoveAffinity(entry)]
