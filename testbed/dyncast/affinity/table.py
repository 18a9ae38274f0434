"""The affinity table of an ingress: flow identifier → chosen instance, until it has been idle.

Figure 4 of the CFN-Dyncast architecture, figure 3 of the Dyncast architecture. The switch sees idleness and
reports it.

It is made for a million bindings: a binding is a key of some bytes, a slot number, and a record of fixed size in one
array. `AffinityEntry` objects are made when asked for. None of it has to be visited by the garbage collector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from testbed.dyncast.affinity.packed_key import pack, unpack
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

_RECORD = Struct("=QddQI")  # number, created_s, installed_s, return_packets, target
_NUMBER = Struct("=Q")
_SLOTS = 1 << 24
_NUMBERS = 1 << 48  # the rest of a cookie says what kind of entry it is

_Target = tuple[Address, str, int, Address]  # D-BID, egress, timeout_s, D-SID: many bindings share one


class AffinityEntry(NamedTuple):
    """One bound flow, as it stands. `number` names it in the switch (the cookie of its two flow entries)."""

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


class HeldFlow(NamedTuple):
    """A bound flow as a switch holds it: of its two entries, those that are there."""

    number: int
    flow: FlowKey
    d_bid: Address
    age_s: float
    has_forward: bool
    has_reverse: bool


class AffinityTable:
    """Bound flows, by identifier and by number.

    A number holds the slot of its binding and how often that slot was used before: it needs no index, and is never
    used again.
    """

    def __init__(self) -> None:
        self._slots: dict[bytes, int] = {}
        self._keys: list[bytes | None] = []
        self._records = bytearray()
        self._free: list[int] = []
        self._targets: list[_Target] = []
        self._bound: list[int] = []  # how many flows, by target
        self._target_index: dict[_Target, int] = {}
        self._d_sids: dict[Address, set[Address]] = {}  # by D-BID, those that a flow was ever bound under

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[AffinityEntry]:
        return (self._entry(unpack(key), slot) for key, slot in list(self._slots.items()) if self._keys[slot] is key)

    def find(self, flow: FlowKey) -> AffinityEntry | None:
        """Return the entry of a flow identifier."""
        slot = self._slots.get(pack(flow))
        return None if slot is None else self._entry(flow, slot)

    def numbered(self, number: int) -> AffinityEntry | None:
        """Return the entry the switch knows by `number`."""
        slot = self._slot(number)
        key = None if slot is None else self._keys[slot]
        return None if slot is None or key is None else self._entry(unpack(key), slot)

    def reverse_key_taken(self, flow: FlowKey, d_bid: Address) -> bool:
        """Return whether a flow of another D-SID is bound that has the same headers on its way back from `d_bid`.

        No switch could know which of the two D-SIDs such a packet shall come from.
        """
        others = (self.find(flow._replace(dst=d_sid)) for d_sid in self._d_sids.get(d_bid, ()) if d_sid != flow.dst)
        return any(other is not None and other.d_bid == d_bid for other in others)

    def d_sids_of(self, d_bid: Address) -> Collection[Address]:
        """Return the D-SIDs that a flow was ever bound under to an instance."""
        return self._d_sids.get(d_bid, ())

    def bind(self, flow: FlowKey, d_bid: Address, egress: str, timeout_s: int, now_s: float) -> AffinityEntry:
        """Bind a flow that is not bound yet. Raises OverflowError when all slots are taken."""
        key = pack(flow)
        if key in self._slots:
            raise ValueError(f"{flow} is bound already")
        slot = self._take_slot()
        (number,) = _NUMBER.unpack_from(self._records, slot * _RECORD.size)
        target = self._index_of((d_bid, egress, timeout_s, flow.dst))
        _RECORD.pack_into(self._records, slot * _RECORD.size, number, now_s, now_s, 0, target)
        self._bound[target] += 1
        self._slots[key] = slot
        self._keys[slot] = key
        return AffinityEntry(number, flow, d_bid, egress, timeout_s, now_s, now_s)

    def restore(self, entries: Iterable[AffinityEntry]) -> None:
        """Take in bindings that a switch holds already, under the numbers that it knows them by.

        Raises ValueError for a flow or a number that is taken.
        """
        for entry in entries:
            key, slot = pack(entry.flow), entry.number % _SLOTS - 1
            self._extend(slot + 1)
            if key in self._slots or slot < 0 or self._keys[slot] is not None:
                raise ValueError(f"{entry.flow} is bound already, or number {entry.number} is taken")
            target = self._index_of((entry.d_bid, entry.egress, entry.timeout_s, entry.d_sid))
            record = (entry.number, entry.created_s, entry.installed_s, entry.return_packets, target)
            _RECORD.pack_into(self._records, slot * _RECORD.size, *record)
            self._bound[target] += 1
            self._slots[key] = slot
            self._keys[slot] = key
        self._free = [slot for slot, key in enumerate(self._keys) if key is None]

    def renew(self, entry: AffinityEntry, installed_s: float, return_packets: int | None = None) -> AffinityEntry:
        """Note when a binding was put into the switch again, and how much came home by then; return the new entry."""
        packets = entry.return_packets if return_packets is None else return_packets
        slot = self._slot(entry.number)
        if slot is not None:
            start = slot * _RECORD.size
            number, created_s, _, _, target = _RECORD.unpack_from(self._records, start)
            _RECORD.pack_into(self._records, start, number, created_s, installed_s, packets, target)
        return entry._replace(installed_s=installed_s, return_packets=packets)

    def end(self, entry: AffinityEntry) -> None:
        """Forget a binding."""
        slot = self._slot(entry.number)
        if slot is None:
            return
        del self._slots[pack(entry.flow)]
        self._keys[slot] = None
        self._bound[_RECORD.unpack_from(self._records, slot * _RECORD.size)[4]] -= 1
        following = entry.number + _SLOTS
        if following < _NUMBERS:  # otherwise the slot has served its time
            _NUMBER.pack_into(self._records, slot * _RECORD.size, following)
            self._free.append(slot)

    def counts(self) -> Counter[tuple[Address, Address]]:
        """Return how many flows are bound, by D-SID and D-BID. Does not look at the bindings themselves."""
        counts: Counter[tuple[Address, Address]] = Counter()
        for (d_bid, _, _, d_sid), bound in zip(self._targets, self._bound, strict=True):
            counts[d_sid, d_bid] += bound
        return counts

    def page(self, start: int, slots: int) -> tuple[list[AffinityEntry], int | None]:
        """Return the bindings in some slots from `start` on, and the slot to go on from; None: that was all.

        For readers of all of a large table, bit by bit. A binding that lasts meanwhile is seen once.
        """
        end = min(start + slots, len(self._keys))
        entries = [
            self._entry(unpack(key), slot) for slot in range(start, end) if (key := self._keys[slot]) is not None
        ]
        return entries, None if end == len(self._keys) else end

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        slot = len(self._keys)
        if slot + 1 >= _SLOTS:
            raise OverflowError(f"{len(self)} flows are bound; there is no number for another")
        self._extend(slot + 1)
        return slot

    def _extend(self, slots: int) -> None:
        for slot in range(len(self._keys), slots):
            self._keys.append(None)
            self._records.extend(_RECORD.pack(slot + 1, 0.0, 0.0, 0, 0))

    def _slot(self, number: int) -> int | None:
        slot = number % _SLOTS - 1
        if not 0 <= slot < len(self._keys) or self._keys[slot] is None:
            return None
        return slot if _NUMBER.unpack_from(self._records, slot * _RECORD.size) == (number,) else None

    def _index_of(self, target: _Target) -> int:
        index = self._target_index.get(target)
        if index is None:
            index = self._target_index[target] = len(self._targets)
            self._targets.append(target)
            self._bound.append(0)
            d_bid, _, _, d_sid = target
            self._d_sids.setdefault(d_bid, set()).add(d_sid)
        return index

    def _entry(self, flow: FlowKey, slot: int) -> AffinityEntry:
        number, created_s, installed_s, packets, target = _RECORD.unpack_from(self._records, slot * _RECORD.size)
        d_bid, egress, timeout_s, _ = self._targets[target]
        return AffinityEntry(number, flow, d_bid, egress, timeout_s, created_s, installed_s, packets)
