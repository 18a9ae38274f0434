"""The affinity table remembers, in a few bytes, what a plain dictionary would."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from testbed.dyncast.affinity.packed_key import pack, unpack
from testbed.dyncast.affinity.table import AffinityEntry, AffinityTable
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6, FAR, NEAR

_PORTS = st.none() | st.integers(0, 65535)
_V4, _V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
_PROTO = st.none() | st.integers(0, 255)
_FLOWS = st.builds(FlowKey, st.none() | _V4, _V4, _PROTO, _PORTS, _PORTS) | st.builds(
    FlowKey, st.none() | _V6, _V6, _PROTO, _PORTS, _PORTS
)
_FEW = st.builds(
    FlowKey, st.sampled_from((CLIENT, None)), st.sampled_from((D_SID, D_SID + 1)), st.just(6), st.just(1), st.none()
) | st.just(FlowKey(CLIENT6, D_SID6, 17, 0, 65535))


@given(_FLOWS)
def test_a_flow_is_the_same_after_packing(flow: FlowKey) -> None:
    assert unpack(pack(flow)) == flow


@given(_FLOWS, _FLOWS)
def test_different_flows_are_packed_differently(one: FlowKey, other: FlowKey) -> None:
    assert (pack(one) == pack(other)) is (one == other)


class Table(RuleBasedStateMachine):
    """The table, and what it should hold by flow."""

    def __init__(self) -> None:
        super().__init__()
        self.table = AffinityTable()
        self.bound: dict[FlowKey, AffinityEntry] = {}
        self.ended: list[AffinityEntry] = []

    @rule(flow=_FEW, d_bid=st.sampled_from((NEAR, FAR)), now_s=st.floats(0, 1e6))
    def bind(self, flow: FlowKey, d_bid: Address, now_s: float) -> None:
        if flow in self.bound:
            return
        entry = self.table.bind(flow, d_bid, "east", 30, now_s)
        assert entry.number not in {known.number for known in (*self.bound.values(), *self.ended)}
        assert entry.number < 1 << 48
        self.bound[flow] = entry

    @rule(flow=_FEW, installed_s=st.floats(0, 1e6), packets=st.none() | st.integers(0, 2**64 - 1))
    def renew(self, flow: FlowKey, installed_s: float, packets: int | None) -> None:
        if flow in self.bound:
            self.bound[flow] = self.table.renew(self.bound[flow], installed_s, packets)

    @rule(flow=_FEW)
    def end(self, flow: FlowKey) -> None:
        if flow in self.bound:
            self.ended.append(self.bound.pop(flow))
        for entry in self.ended:
            self.table.end(entry)

    @rule(flow=_FEW, d_bid=st.sampled_from((NEAR, FAR)))
    def ask_for_the_way_home(self, flow: FlowKey, d_bid: Address) -> None:
        others = [entry for entry in self.bound.values() if entry.d_bid == d_bid and entry.d_sid != flow.dst]
        taken = {entry.flow._replace(dst=d_bid) for entry in others}
        assert self.table.reverse_key_taken(flow, d_bid) is (flow._replace(dst=d_bid) in taken)

    @invariant()
    def holds_what_is_bound(self) -> None:
        assert list(self.table) == list(self.bound.values())
        assert len(self.table) == len(self.bound)
        for flow, entry in self.bound.items():
            assert self.table.find(flow) == self.table.numbered(entry.number) == entry
        assert [self.table.numbered(entry.number) for entry in self.ended] == [None] * len(self.ended)

    @invariant()
    def counts_and_shows_what_is_bound(self) -> None:
        assert +self.table.counts() == Counter((entry.d_sid, entry.d_bid) for entry in self.bound.values())
        shown: list[AffinityEntry] = []
        start: int | None = 0
        while start is not None:
            entries, start = self.table.page(start, 2)
            shown += entries
        assert sorted(shown, key=lambda entry: entry.number) == sorted(
            self.bound.values(), key=lambda entry: entry.number
        )


Table.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestTable = Table.TestCase
