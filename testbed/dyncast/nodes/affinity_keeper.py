"""The flow binding table and the switch that carries it out, kept together: what D-Router and Dispatcher share.

Pure. Owns what becomes of a binding once it is there: entries put back, idle ends, recovery after a restart, ends by
reset. Who decides where a flow goes, and why, is not known here. Figure 4 and section 4.5 of the CFN-Dyncast
architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from testbed.dyncast.actions import (
    Action,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    ReadReturnPackets,
    RemoveAffinity,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry, AffinityTable, HeldFlow
from testbed.dyncast.nodes.weighted_pool import Pool
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

_REINSTALL_AFTER_S = 0.5  # a packet of a bound flow that still comes up this late: the switch lost the entry


class BindingKeeper:
    """A node that keeps bindings of flows to `services`, by D-SID."""

    def __init__(self, services: Mapping[Address, Service]) -> None:
        self.affinity = AffinityTable()
        self.counters: Counter[str] = Counter()
        self._services = services

    @property
    def services(self) -> Mapping[Address, Service]:
        """The services that are steered here now, by D-SID."""
        return self._services

    def pool(self, d_sid: Address) -> Pool | None:  # noqa: ARG002
        """Return the pool of a D-SID whose flows the switch binds; None if they are bound here."""
        return None

    def site_behind(self, target: Address) -> str | None:  # noqa: ARG002
        """Return the site that a flow was given to as such, by what it is bound to; None: that is an instance."""
        return None

    def on_forward_entry_removed(self, number: int, idle: bool) -> list[Action]:
        """Hear that a flow's D-SID → D-BID entry left the switch; idle flows may live on homewards."""
        entry = self.affinity.numbered(number)
        if entry is None:
            return []
        if idle:
            return [ReadReturnPackets(entry)]
        return self._end(entry)

    def on_return_packets(self, number: int, packets: int, now_s: float) -> list[Action]:
        """Hear how many packets came home on a flow whose forward entry idled out; keep or end it."""
        entry = self.affinity.numbered(number)
        if entry is None:
            return []
        if packets != entry.return_packets:  # re-installing may have reset the count
            return [InstallAffinity(self.affinity.renew(entry, now_s, packets))]
        return self._end(entry)

    def _service_of(self, held: FlowKey) -> Service | None:
        """Return the service of a flow that a switch holds; None if it is of none."""
        return self._services.get(held.dst)

    def _binds(self, d_sid: Address) -> bool:
        """Tell whether the flows to a D-SID are bound here, and not by the switch itself."""
        return d_sid in self._services

    def _recover(self, held: Collection[HeldFlow], now_s: float) -> list[Action]:
        """Take in what a switch holds from a former process."""
        actions: list[Action] = []
        known: list[AffinityEntry] = []
        for item in held:
            service = self._service_of(item.flow)
            timeout_s = service.affinity_timeout_s if service else 0
            # Which site the instance is of will be known when it is next reported.
            entry = AffinityEntry(item.number, item.flow, item.d_bid, "", timeout_s, now_s - item.age_s, now_s)
            is_reactive = service is not None and self._binds(item.flow.dst)
            if not (item.has_homeward and is_reactive and service and service.is_identified_by(item.flow)):
                self.counters["bindings_not_recovered"] += 1
                actions.append(RemoveAffinity(entry))
                continue
            self.counters["bindings_recovered"] += 1
            known.append(entry)
            if not item.has_forward:  # it idled out, and nobody heard; the way home may be in use
                actions.append(InstallAffinity(entry))
        self.affinity.restore(known)
        return actions

    def _follow(self, entry: AffinityEntry, now_s: float) -> list[Action]:
        """Steer a packet that came up although its flow is bound."""
        self.counters["packets_before_entry"] += 1
        if now_s - entry.installed_s < _REINSTALL_AFTER_S:
            return [ForwardPacket(entry)]
        entry = self.affinity.renew(entry, now_s)
        return [InstallAffinity(entry), ForwardPacket(entry)]

    def _reset(self, services: Collection[Service], start: int, slots: int) -> tuple[list[Action], int | None]:
        """End the flows of services in some slots of the table; return the slot to go on from, too."""
        d_sids = {d_sid for service in services for d_sid in service.d_sids}
        entries, following = self.affinity.page(start, slots)
        ended = [entry for entry in entries if entry.d_sid in d_sids]
        self.counters["bindings_reset"] += len(ended)
        return [action for entry in ended for action in self._end(entry)], following

    def _end(self, entry: AffinityEntry) -> list[Action]:
        self.affinity.end(entry)
        self.counters["bindings_ended"] += 1
        return [RemoveAffinity(entry)]

    def _drop(self, reason: str) -> list[Action]:
        self.counters[f"dropped_{reason}"] += 1
        return [DropPacket(reason)]
