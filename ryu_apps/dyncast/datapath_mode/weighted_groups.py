"""The weighted groups of a D-Router in its switch: the entries and select groups that the switch has and gets next.

Owns the order of messages (an instance can be bound to, and its answers come home, before it is chosen; it is chosen no
more before it goes), and the numbers that instances are counted under. Decides nothing: shares and members come from
the core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ryu_apps.dyncast.entries import group_entries
from ryu_apps.dyncast.entries.group_entries import BIND, SLOTS, GroupEntries, GroupSpec, registers
from ryu_apps.openflow.framework import hub, ofproto_v1_5_parser
from ryu_apps.openflow.select_groups import GroupError, SelectGroups
from testbed.dyncast.actions import SetWeights
from testbed.linux.ovs_conntrack import Conntrack
from testbed.net.addresses import Address, Network

_PATIENCE_S = 30.0

Send = Callable[[Any], None]
WhenTaken = Callable[[Address, Callable[[float], None]], None]
"""Has something done, at a time, once the switch has taken all that was sent to it for a D-SID."""


class WeightedGroups:
    """All weighted groups of one D-Router, by D-SID."""

    def __init__(
        self,
        specs: Sequence[GroupSpec],
        prefixes: Sequence[Network],
        uplink_port: int,
        select_groups: SelectGroups,
        conntrack: Conntrack,
        generation: int,
        direct_zone: int | None = None,
    ) -> None:
        self._direct_zone = direct_zone
        self._specs = {spec.d_sid: spec for spec in specs}
        self._prefixes = prefixes
        self._uplink_port = uplink_port
        self._select_groups = select_groups
        self._conntrack = conntrack
        self._generation = generation
        self._numbers: dict[tuple[Address, Address], int] = {}
        self._refused_before: int | None = None
        self._numbered: dict[int, tuple[Address, Address]] = {}
        self._resetting: set[Address] = set()
        self._one_at_a_time = hub.Semaphore(1)
        self._send: Send = _nowhere
        self._when_taken: WhenTaken = _never
        self._entries: GroupEntries | None = None
        self._forget()

    def connect(self, datapath: Any, send: Send, when_taken: WhenTaken) -> None:
        """Take a switch that connected; it may have lost everything."""
        self._send = send
        self._when_taken = when_taken
        self._entries = GroupEntries(
            datapath,
            list(self._specs.values()),
            self._prefixes,
            self._uplink_port,
            self._generation,
            self._direct_zone,
        )
        self._forget()

    def disconnect(self) -> None:
        """Forget a switch that went away."""
        self._entries = None
        self._select_groups.close()

    @property
    def is_connected(self) -> bool:
        """Whether there is a switch to send to."""
        return self._entries is not None

    def set_weights(self, action: SetWeights, now_s: float) -> None:
        """Have new flows spread as the core says. Raises GroupError; GroupRefused where the switch has none.

        Others go on while the switch takes a group. What they want spread meanwhile waits for its turn, in their order.
        """
        with self._one_at_a_time:
            entries, spec = self._of(action.d_sid)
            self._shares[action.d_sid] = action.shares
            new = action.members - self._members.setdefault(action.d_sid, set())
            self._add_members(entries, spec, new)
            self._share_out(entries, spec, now_s)

    def _add_members(self, entries: GroupEntries, spec: GroupSpec, new: frozenset[Address]) -> None:
        """Send what binds flows to instances and brings their answers home.

        A group goes to the switch another way, and overtakes it: answers to flows bound meanwhile would come from
        D-BIDs. So an instance of a group is chosen once the switch says that it has these (docs/decisions/0052). Slots
        go the same way as these.
        """
        for d_bid in new:
            self._members[spec.d_sid].add(d_bid)
            self._send_all(entries.member(spec, d_bid, self._number(spec.d_sid, d_bid)))
            self._send_home(entries, d_bid)
        if new and not spec.learns:
            self._not_taken.update((spec.d_sid, d_bid) for d_bid in new)
            self._when_taken(spec.d_sid, partial(self._let_be_chosen, entries, spec, new))

    def _let_be_chosen(self, entries: GroupEntries, spec: GroupSpec, members: frozenset[Address], now_s: float) -> None:
        with self._one_at_a_time:
            if self._entries is entries and spec.d_sid in self._specs:
                self._not_taken.subtract((spec.d_sid, d_bid) for d_bid in members)
                self._share_out(entries, spec, now_s)

    def _share_out(self, entries: GroupEntries, spec: GroupSpec, now_s: float) -> None:
        wanted = self._shares[spec.d_sid]
        shares = {d_bid: share for d_bid, share in wanted.items() if not self._not_taken[spec.d_sid, d_bid]}
        if wanted and not shares:
            return  # what the switch does meanwhile is what it did
        if spec.learns:
            self._hand_out_slots(entries, spec, shares)
        else:
            self._select_groups.set(spec.number, _buckets(shares))
            if self._of(spec.d_sid) != (entries, spec):
                raise GroupError("the switch went away and came back")
        for d_bid in list(self._members[spec.d_sid]):
            others = {other: share for other, share in shares.items() if other != d_bid}
            self._set_own_calls(
                entries, spec, d_bid, max(others, key=lambda other: (others[other], other), default=None)
            )
        takes_flows = bool(shares)
        before = self._takes_flows.get(spec.d_sid)
        self._takes_flows[spec.d_sid] = takes_flows
        if before != takes_flows:
            self._send(self._new_flows(entries, spec, now_s))
        if before is None:
            self._send_all(entries.service(spec))

    def _set_own_calls(self, entries: GroupEntries, spec: GroupSpec, d_bid: Address, other: Address | None) -> None:
        """Say who serves what an instance calls itself, if that is somebody else than before."""
        key = (spec.d_sid, d_bid)
        if key not in self._own_calls or self._own_calls[key] != other:
            self._own_calls[key] = other
            self._send_all(entries.own_calls(spec, d_bid, other))

    def stamp(self, now_s: float) -> None:
        """Have connections that begin from now on marked with the time."""
        for d_sid, takes_flows in list(self._takes_flows.items()):
            if takes_flows and d_sid in self._specs:
                self._send(self._new_flows(*self._of(d_sid), now_s))

    def terminate_flows(self, d_sid: Address, d_bid: Address) -> int:
        """End the flows bound to an instance that died; return how many connections were open."""
        entries, spec = self._of(d_sid)
        if d_bid in self._members.get(d_sid, set()):
            self._members[d_sid].discard(d_bid)
            self._own_calls.pop((d_sid, d_bid), None)
            self._send_all(entries.without_member(spec, d_bid))
        return self._conntrack.end(spec.zone, d_bid)

    def reset(self, d_sids: Sequence[Address], now_s: float) -> int:
        """End all flows to the D-SIDs of a service; return how many connections there were.

        What was learnt goes after the connections, which would have it learnt again, and counts for nothing meanwhile.
        Waits for the switch where it learns. Raises ConntrackError, GroupError.
        """
        (zone,) = {self._of(d_sid)[1].zone for d_sid in d_sids}
        self._resetting.update(d_sids)
        try:
            self._repeat_new_flows(d_sids, now_s)
            if any(self._specs[d_sid].learns for d_sid in d_sids):
                self._wait_until_taken(d_sids[0])
            connections = self._conntrack.count(zone)
            self._conntrack.flush(zone)
            for entries, spec in (self._of(d_sid) for d_sid in d_sids if d_sid in self._specs):
                if spec.learns:
                    self._send(entries.forget_learnt(spec))
        finally:
            self._resetting.difference_update(d_sids)
            self._repeat_new_flows(d_sids, now_s)
        return connections

    def _wait_until_taken(self, d_sid: Address) -> None:
        taken = hub.Event()
        self._when_taken(d_sid, lambda _: taken.set())
        if not taken.wait(_PATIENCE_S):
            raise GroupError("the switch does not answer")

    def remove(self, d_sid: Address) -> None:
        """Leave a D-SID to reactive mode."""
        entries, spec = self._of(d_sid)
        self._send_all(entries.remove(spec))
        del self._specs[d_sid]
        self._takes_flows.pop(d_sid, None)

    def remove_older_generations(self) -> None:
        """Take away what a former control process left in the switch and this one did not confirm."""
        if self._entries is None:
            return
        self._is_settled = True
        for d_bid in dict.fromkeys(d_bid for members in self._members.values() for d_bid in members):
            self._send_home(self._entries, d_bid)
        self._send_all(self._entries.remove_older_generations())

    def assigned(self, cookie: int) -> tuple[Address, Address] | None:
        """Return the D-SID and the D-BID whose new flows an entry counts; None if it counts something else."""
        if not self._is_mine(cookie, group_entries.ASSIGNED_COOKIE):
            return None
        return self._numbered.get(cookie & group_entries.NUMBER_MASK)

    def refused(self, cookie: int) -> Address | None:
        """Return the D-SID whose refused packets an entry counts; None if it counts something else."""
        return self._d_sid_of(cookie, group_entries.REFUSED_COOKIE)

    def error_about(self, cookie: int) -> Address | None:
        """Return the D-SID of the connection that an error is about which an entry brought up."""
        return self._d_sid_of(cookie, group_entries.ERROR_COOKIE)

    def _d_sid_of(self, cookie: int, kind: int) -> Address | None:
        if not self._is_mine(cookie, kind):
            return None
        number = cookie & group_entries.NUMBER_MASK
        return next((spec.d_sid for spec in self._specs.values() if spec.number == number), None)

    def connections_refused(self) -> int:
        """Return how many connections the datapath had no room for since last asked. Raises ConntrackError."""
        total = self._conntrack.refused()
        before, self._refused_before = self._refused_before, total
        return 0 if before is None else total - before

    def _forget(self) -> None:
        self._members: dict[Address, set[Address]] = {}
        self._shares: dict[Address, Mapping[Address, int]] = {}
        self._not_taken: Counter[tuple[Address, Address]] = Counter()  # what was sent for an instance and is under way
        self._takes_flows: dict[Address, bool] = {}
        self._own_calls: dict[tuple[Address, Address], Address | None] = {}  # by D-SID and instance, who serves them
        self._slots: dict[Address, list[Address]] = {}
        self._is_settled = False  # what a former process left in the switch may still serve flows of its own

    def _repeat_new_flows(self, d_sids: Iterable[Address], now_s: float) -> None:
        """Send the entries of new flows again; meanwhile the switch may have gone, or the D-SIDs may be reactive."""
        for d_sid in d_sids:
            if self._entries is not None and d_sid in self._specs and d_sid in self._takes_flows:
                self._send(self._new_flows(*self._of(d_sid), now_s))

    def _new_flows(self, entries: GroupEntries, spec: GroupSpec, now_s: float) -> Any:
        d_sid = spec.d_sid
        takes_flows, is_reset = self._takes_flows[d_sid], d_sid in self._resetting
        return entries.new_flows(spec, takes_flows=takes_flows, now_s=now_s, is_reset=is_reset)

    def _is_mine(self, cookie: int, kind: int) -> bool:
        mask = group_entries.KIND_MASK | group_entries.GENERATION_MASK
        return cookie & mask == kind | self._generation << 40

    def _of(self, d_sid: Address) -> tuple[GroupEntries, GroupSpec]:
        if self._entries is None:
            raise GroupError("no switch is connected")
        if d_sid not in self._specs:
            raise GroupError(f"flows to {d_sid} are no longer bound by the switch")
        return self._entries, self._specs[d_sid]

    def _number(self, d_sid: Address, d_bid: Address) -> int:
        number = self._numbers.setdefault((d_sid, d_bid), len(self._numbers) + 1)
        self._numbered[number] = (d_sid, d_bid)
        return number

    def _send_home(self, entries: GroupEntries, d_bid: Address) -> None:
        """Set the way home of an instance's answers: by all groups it may have served before this process began."""
        serving = [
            spec
            for d_sid, spec in self._specs.items()
            if d_bid in self._members.get(d_sid, ()) or (not self._is_settled and d_sid.version == d_bid.version)
        ]
        self._send_all(entries.home(d_bid, serving))

    def _hand_out_slots(self, entries: GroupEntries, spec: GroupSpec, shares: Mapping[Address, int]) -> None:
        held = self._slots.get(spec.d_sid, [])
        wanted = hand_out(shares, held)
        changed = {slot: d_bid for slot, d_bid in enumerate(wanted) if held[slot : slot + 1] != [d_bid]}
        self._slots[spec.d_sid] = wanted
        self._send_all(entries.slots(spec, changed))

    def _send_all(self, messages: Iterable[Any]) -> None:
        for message in messages:
            self._send(message)


def hand_out(shares: Mapping[Address, int], held: Sequence[Address]) -> list[Address]:
    """Return the instance of each slot so that each has its share, with as few slots changing hands as can be."""
    total = sum(shares.values())
    if not total:
        return []
    quotas = {d_bid: share * SLOTS // total for d_bid, share in shares.items()}
    by_remainder = sorted(shares, key=lambda d_bid: (-(shares[d_bid] * SLOTS % total), int(d_bid)))
    for d_bid in by_remainder[: SLOTS - sum(quotas.values())]:
        quotas[d_bid] += 1
    holders: list[Address | None] = []
    for slot in range(SLOTS):
        holder = held[slot] if slot < len(held) else None
        keeps = holder is not None and quotas.get(holder, 0) > 0
        if holder is not None and keeps:
            quotas[holder] -= 1
        holders.append(holder if keeps else None)
    waiting = iter([d_bid for d_bid, left in quotas.items() for _ in range(left)])
    return [next(waiting) if holder is None else holder for holder in holders]


def _buckets(shares: Mapping[Address, int]) -> dict[int, tuple[int, list[Any]]]:
    parser = ofproto_v1_5_parser
    return {
        number: (
            share,
            [
                *(parser.OFPActionSetField(**{name: value}) for name, value in registers(d_bid).items()),
                parser.NXActionResubmitTable(table_id=BIND),
            ],
        )
        for number, (d_bid, share) in enumerate(sorted(shares.items(), key=lambda item: int(item[0])))
    }


def _nowhere(_: Any) -> None:
    """Drop a message: no switch is connected."""


def _never(_: Address, __: Callable[[float], None]) -> None:
    """Do nothing: no switch is connected that could take anything."""
