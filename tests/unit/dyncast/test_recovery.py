"""A D-Router that starts again goes on with the flows that its switch holds."""

from __future__ import annotations

import pytest

from testbed.dyncast.actions import ForwardPacket, InstallAffinity, ReadReturnPackets, RemoveAffinity
from testbed.dyncast.affinity.table import AffinityEntry, AffinityTable, HeldFlow
from testbed.net.flow_key import THREE_TUPLE
from tests.dyncast_samples import D_SID, FAR, NEAR, d_router, flow, informed, of_kind, only, service

_LATER_SLOT_USE = (1 << 24) + 3  # slot 2, used once before


def held(number: int = 7, port: int | None = 40000, **changes: object) -> HeldFlow:
    item = HeldFlow(number, flow(port), FAR, age_s=5.0, has_forward=True, has_reverse=True)
    return item._replace(**changes)  # type: ignore[arg-type]


def test_flows_go_on_under_the_numbers_that_the_switch_knows() -> None:
    router = d_router()
    actions = router.on_switch_connected(100.0, [held(7), held(_LATER_SLOT_USE, port=40001)])
    assert of_kind(actions, InstallAffinity) == []
    assert router.counters["bindings_recovered"] == 2
    entry = router.affinity.find(flow(40000))
    assert entry is not None
    assert (entry.number, entry.d_bid, entry.created_s, entry.timeout_s) == (7, FAR, 95.0, 30)
    informed(router, now_s=100.0)
    assert only(router.on_packet(flow(40000), 100.1), ForwardPacket).entry.d_bid == FAR
    assert only(router.keeper.on_forward_entry_removed(_LATER_SLOT_USE, idle=True), ReadReturnPackets)


def test_new_flows_get_numbers_of_their_own() -> None:
    router = d_router()
    taken = {7, 2, _LATER_SLOT_USE}
    router.on_switch_connected(100.0, [held(number, port=number % 1000) for number in sorted(taken)])
    informed(router, now_s=100.0)
    new = {only(router.on_packet(flow(port), 100.0), InstallAffinity).entry.number for port in range(50000, 50020)}
    assert len(new) == 20
    assert not new & taken


def test_a_way_to_the_service_that_idled_out_unheard_is_put_back() -> None:
    router = d_router()
    actions = router.on_switch_connected(100.0, [held(has_forward=False)])
    assert only(actions, InstallAffinity).entry.number == 7


@pytest.mark.parametrize(
    "unusable",
    [
        held(has_reverse=False),
        held(flow=flow()._replace(dst=D_SID + 77)),
        held(flow=flow().masked(THREE_TUPLE)),
    ],
    ids=["half written", "unknown service", "other fields"],
)
def test_what_cannot_be_gone_on_with_is_taken_away(unusable: HeldFlow) -> None:
    router = d_router()
    actions = router.on_switch_connected(100.0, [unusable])
    assert only(actions, RemoveAffinity).entry.number == 7
    assert len(router.affinity) == 0
    assert router.counters["bindings_not_recovered"] == 1


def test_flows_by_client_are_told_from_flows_by_port() -> None:
    router = d_router(service(flow_fields=THREE_TUPLE))
    router.on_switch_connected(100.0, [held(flow=flow().masked(THREE_TUPLE)), held(8, port=40001)])
    assert [entry.number for entry in router.affinity] == [7]


def test_no_two_bindings_share_a_number_or_a_flow() -> None:
    table = AffinityTable()
    entry = AffinityEntry(7, flow(), NEAR, "", 30, 0.0, 0.0)
    with pytest.raises(ValueError, match="bound already"):
        table.restore([entry, entry._replace(number=8)])
    with pytest.raises(ValueError, match="bound already"):
        AffinityTable().restore([entry, entry._replace(flow=flow(1))])
