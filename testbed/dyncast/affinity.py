"""The affinity table of an ingress: flow identifier → chosen instance, until it has been idle.

Figure 4 of the CFN-Dyncast architecture, figure 3 of the Dyncast architecture. Idleness is seen by the
switch; this table is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.dyncast.codec import Address
from testbed.dyncast.flows import FlowKey


@dataclass
class AffinityEntry:
    """One bound flow. `number` names it in the switch (the cookie of its two flow entries)."""

    number: int
    flow: FlowKey
    d_bid: Address
    egress: str
    timeout_s: int
    created_s: float
    installed_s: float
    return_packets: int = 0

    @property
    def d_sid(self) -> Address:
        """The service the flow is addressed to."""
        return self.flow.dst


class AffinityTable:
    """Bound flows, by identifier and by number."""

    def __init__(self) -> None:
        self._by_flow: dict[FlowKey, AffinityEntry] = {}
        self._by_number: dict[int, AffinityEntry] = {}
        self._ways_home: set[FlowKey] = set()
        self._next_number = 1

    def __len__(self) -> int:
        return len(self._by_flow)

    def __iter__(self) -> Iterator[AffinityEntry]:
        return iter(list(self._by_flow.values()))

    def find(self, flow: FlowKey) -> AffinityEntry | None:
        """Return the entry of a flow identifier."""
        return self._by_flow.get(flow)

    def numbered(self, number: int) -> AffinityEntry | None:
        """Return the entry the switch knows by `number`."""
        return self._by_number.get(number)

    def has_way_home(self, flow: FlowKey, d_bid: Address) -> bool:
        """Tell whether a bound flow of another D-SID comes home from `d_bid` with the same headers as `flow` would.

        No switch could tell which of the two D-SIDs such a packet shall come from.
        """
        return flow._replace(dst=d_bid) in self._ways_home

    def bind(self, flow: FlowKey, d_bid: Address, egress: str, timeout_s: int, now_s: float) -> AffinityEntry:
        """Bind a flow that is not bound yet."""
        if flow in self._by_flow:
            raise ValueError(f"{flow} is bound already")
        entry = AffinityEntry(self._next_number, flow, d_bid, egress, timeout_s, now_s, now_s)
        self._next_number += 1
        self._by_flow[flow] = self._by_number[entry.number] = entry
        self._ways_home.add(flow._replace(dst=d_bid))
        return entry

    def end(self, entry: AffinityEntry) -> None:
        """Forget a binding."""
        self._by_flow.pop(entry.flow, None)
        self._by_number.pop(entry.number, None)
        self._ways_home.discard(entry.flow._replace(dst=entry.d_bid))
