"""Fragments of flows, and ICMP errors about them: both ways, and none about what is not bound."""

from __future__ import annotations

import pytest

from testbed.dyncast.actions import (
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    PassPacket,
    ReadReturnPackets,
    RemoveAffinity,
    ReversePacket,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.dyncast.nodes.d_router import DRouter
from testbed.net.addresses import Address
from testbed.net.flow_key import THREE_TUPLE, FlowKey
from tests.dyncast_samples import (
    CLIENT,
    CLIENT6,
    D_SID,
    D_SID6,
    FAR,
    NEAR,
    NEAR6,
    d_router,
    flow,
    informed,
    only,
    service,
)

_ENDS = pytest.mark.parametrize(
    ("client", "d_sid", "d_bid"), [(CLIENT, D_SID, NEAR), (CLIENT6, D_SID6, NEAR6)], ids=["v4", "v6"]
)


def bound(router: DRouter, packet: FlowKey, now_s: float = 1.0) -> AffinityEntry:
    return only(router.on_packet(packet, now_s), InstallAffinity).entry


def from_instance(packet: FlowKey, d_bid: Address) -> FlowKey:
    return packet.reversed()._replace(src=d_bid)


@_ENDS
@pytest.mark.parametrize(
    "of", [service(), service(flow_fields=THREE_TUPLE), service(port_block=8)], ids=["5-tuple", "3-tuple", "block"]
)
def test_fragments_of_a_bound_flow_go_both_ways(of: Service, client: Address, d_sid: Address, d_bid: Address) -> None:
    router = informed(d_router(of))
    packet = flow(src=client, dst=d_sid)
    entry = bound(router, packet)
    assert entry.d_bid == d_bid
    assert router.keeper.on_fragment(packet) == [ForwardPacket(entry)]
    assert router.keeper.on_fragment(from_instance(packet, d_bid)) == [ReversePacket(entry)]
    assert router.counters["fragments_steered"] == 2


def test_a_fragment_may_be_what_a_flow_begins_with() -> None:
    router = informed(d_router())
    assert router.keeper.on_fragment(flow()) is None
    actions = router.on_packet(flow(), 1.0)
    entry = only(actions, InstallAffinity).entry
    assert only(actions, ForwardPacket).entry == entry
    assert router.keeper.on_fragment(flow()) == [ForwardPacket(entry)]  # a later one, under the same ports


def test_fragments_of_no_bound_flow_pass_as_they_are() -> None:
    router = informed(d_router())
    bound(router, flow())
    for stranger in (from_instance(flow(40001), NEAR), from_instance(flow(), FAR), flow().reversed()):
        assert router.keeper.on_fragment(stranger) == [PassPacket()]


def test_a_flow_of_nothing_but_fragments_stays_bound_as_long_as_they_come() -> None:
    router = informed(d_router())
    entry = bound(router, flow())
    for packet in (flow(), from_instance(flow(), NEAR)):
        router.keeper.on_fragment(packet)
        assert router.keeper.on_forward_entry_removed(entry.number, idle=True) == [InstallAffinity(entry)]
    assert router.keeper.on_forward_entry_removed(entry.number, idle=True) == [ReadReturnPackets(entry)]
    assert router.keeper.on_return_packets(entry.number, 0, 90) == [RemoveAffinity(entry)]
    assert router.keeper.on_fragment(from_instance(flow(), NEAR)) == [PassPacket()]


@_ENDS
def test_an_error_about_what_a_client_sent_is_about_the_d_sid(client: Address, d_sid: Address, d_bid: Address) -> None:
    router = informed(d_router())
    packet = flow(src=client, dst=d_sid)
    entry = bound(router, packet)
    assert router.keeper.on_icmp_error(packet._replace(dst=d_bid)) == [ReversePacket(entry)]
    assert router.keeper.on_icmp_error(packet._replace(dst=d_bid, src_port=9)) == [PassPacket()]
    assert router.keeper.on_icmp_error(packet) == [
        PassPacket()
    ]  # about a packet that was not rewritten: it was refused


@_ENDS
def test_an_error_about_what_an_instance_sent_goes_to_it(client: Address, d_sid: Address, d_bid: Address) -> None:
    router = informed(d_router())
    packet = flow(src=client, dst=d_sid)
    entry = bound(router, packet)
    assert (entry.d_bid, router.keeper.on_icmp_error(packet.reversed())) == (d_bid, [ForwardPacket(entry)])
    other = packet._replace(src_port=9).reversed()
    assert router.keeper.on_icmp_error(other) == [DropPacket("error_of_no_flow")]
    assert (router.counters["errors_steered"], router.counters["dropped_error_of_no_flow"]) == (1, 1)


def test_of_two_services_of_an_instance_the_narrower_identifier_is_meant() -> None:
    other = D_SID + 1
    wide = service(name="wide", d_sids=(other,), flow_fields=THREE_TUPLE)
    narrow = service(d_sids=(D_SID,))
    router = d_router(wide, narrow)
    entries = {
        d_sid: router.affinity.bind(of.identifier(flow(dst=d_sid)), NEAR, "", 30, 0.0)
        for d_sid, of in ((other, wide), (D_SID, narrow))
    }
    assert router.keeper.on_fragment(from_instance(flow(), NEAR)) == [ReversePacket(entries[D_SID])]
    assert router.keeper.on_fragment(from_instance(flow(40001), NEAR)) == [ReversePacket(entries[other])]


def test_through_a_tunnel_the_d_bid_is_no_name_of_the_flow() -> None:
    router = informed(d_router(service(steering="tunnel")))
    entry = bound(router, flow())
    assert router.keeper.on_fragment(from_instance(flow(), NEAR)) == [PassPacket()]
    assert router.keeper.on_fragment(flow()) == [ForwardPacket(entry)]
    assert router.keeper.on_icmp_error(flow().reversed()) == [ForwardPacket(entry)]


def test_where_the_switch_binds_itself_fragments_and_errors_are_its_own() -> None:
    router = informed(d_router(service(affinity_mode="datapath")))
    assert router.keeper.on_icmp_error(flow().reversed()) == [PassPacket()]
    assert router.keeper.on_fragment(from_instance(flow(), NEAR)) == [PassPacket()]
