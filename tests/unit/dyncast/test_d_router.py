"""The D-Router: packets, switch events, messages and time in; actions out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.dyncast.actions import (
    Action,
    DropPacket,
    ForwardPacket,
    InstallAffinity,
    InterceptService,
    ReadReturnPackets,
    RefusePacket,
    RemoveAffinity,
    SendMessage,
    TrackReverseFlows,
)
from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.dyncast.policies import Candidate
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, UDP
from tests.dyncast_samples import (
    CLIENT,
    CLIENT6,
    D_SID,
    D_SID6,
    FAR,
    HERE,
    NEAR,
    NEAR6,
    PEER,
    THERE,
    d_router,
    flow,
    informed,
    of_kind,
    only,
    report_bytes,
    service,
    told,
)

_RAW = RawMetrics(4)


# -- steering --------------------------------------------------------------------------------------


def test_the_first_packet_of_a_flow_binds_it_installs_it_and_goes_on() -> None:
    router = informed(d_router())
    actions = router.on_packet(flow(), now_s=1)
    assert [type(action) for action in actions] == [InstallAffinity, ForwardPacket, Decided]
    entry = only(actions, InstallAffinity).entry
    assert only(actions, ForwardPacket).entry == entry
    assert (entry.flow, entry.d_bid, entry.egress, entry.timeout_s) == (flow(), NEAR, HERE, 30)


def test_a_decision_is_recorded_with_all_that_was_weighed() -> None:
    router = informed(d_router(), now_s=0)
    decided = only(router.on_packet(flow(), now_s=1), Decided)
    assert (decided.service, decided.policy, decided.flow) == ("render", "dyncast", flow())
    assert (decided.d_bid, decided.egress, decided.metrics_age_s) == (NEAR, HERE, 1)
    assert decided.considered == 2
    near, far = decided.weighed
    assert (near.candidate.d_bid, near.weight, far.candidate.d_bid, far.weight) == (NEAR, 1, FAR, 0)
    assert far.cost > near.cost > 0


def test_packets_that_come_before_the_entry_is_in_place_follow_the_first() -> None:
    router = informed(d_router(service(policy="round_robin")))
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    for _ in range(5):
        assert router.on_packet(flow(), now_s=1.1) == [ForwardPacket(entry)]
    assert (router.counters["decisions"], router.counters["packets_before_entry"]) == (1, 5)


def test_an_entry_that_the_switch_lost_is_put_back_with_the_same_instance() -> None:
    router = informed(d_router(service(policy="round_robin")))
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    again = entry._replace(installed_s=5)
    assert router.on_packet(flow(), now_s=5) == [InstallAffinity(again), ForwardPacket(again)]
    assert router.on_packet(flow(), now_s=5.1) == [ForwardPacket(again)]


def test_another_flow_is_another_decision() -> None:
    router = informed(d_router(service(policy="round_robin")))
    chosen = [only(router.on_packet(flow(port), now_s=1), Decided).d_bid for port in range(4)]
    assert chosen == [NEAR, FAR, NEAR, FAR]


def test_both_families_are_steered_each_to_its_own() -> None:
    router = informed(d_router())
    actions = router.on_packet(flow(src=CLIENT6, dst=D_SID6), now_s=1)
    assert only(actions, ForwardPacket).entry.d_bid == NEAR6


def test_a_flow_goes_to_a_remote_instance_when_the_one_here_is_overloaded() -> None:
    router = informed(d_router(), near=40, far=0)
    decided = only(router.on_packet(flow(), now_s=1), Decided)
    assert (decided.d_bid, decided.egress) == (FAR, THERE)


def test_masked_fields_do_not_tell_flows_apart() -> None:
    router = informed(d_router(service(policy="round_robin", flow_fields=THREE_TUPLE)))
    entry = only(router.on_packet(flow(1), now_s=1), InstallAffinity).entry
    assert (entry.flow.src_port, entry.flow.dst_port) == (None, None)
    assert only(router.on_packet(flow(2), now_s=1), ForwardPacket).entry == entry
    assert only(router.on_packet(flow(None), now_s=1), ForwardPacket).entry == entry  # a later fragment
    assert only(router.on_packet(flow(1, proto=UDP), now_s=1), InstallAffinity).entry != entry
    assert only(router.on_packet(flow(1, src=CLIENT + 1), now_s=1), InstallAffinity).entry != entry


def assert_dropped(router: DRouter, actions: object, reason: str) -> None:
    assert actions == [DropPacket(reason)]
    assert router.counters[f"dropped_{reason}"] == 1
    assert len(router.affinity) == 0


def test_without_an_instance_the_packet_is_refused_and_counted() -> None:
    router = d_router()
    assert router.on_packet(flow(), now_s=1) == [RefusePacket("no_instance")]
    assert (router.counters["refused_no_instance"], len(router.affinity)) == (1, 0)


def test_instances_whose_metrics_are_too_old_take_no_new_flows() -> None:
    router = informed(d_router(metric_lifetime_s=10), now_s=0)
    assert only(router.on_packet(flow(), now_s=9.99), Decided)
    assert router.on_packet(flow(40001), now_s=10.01) == [RefusePacket("no_instance")]


def test_an_instance_that_is_down_takes_no_new_flows_and_keeps_those_it_has() -> None:
    router = informed(d_router())
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    router.on_message(report_bytes(HERE, 2, 2, told(NEAR, None)), NEAR, 2)
    assert only(router.on_packet(flow(40001), now_s=2), Decided).d_bid == FAR
    again = entry._replace(installed_s=2)
    assert router.on_packet(flow(), now_s=2) == [InstallAffinity(again), ForwardPacket(again)]


def test_an_address_that_is_no_service_is_none() -> None:
    router = informed(d_router())
    assert_dropped(router, router.on_packet(flow(dst=NEAR), now_s=1), "unknown_d_sid")


def test_a_packet_without_ports_belongs_to_no_flow_that_has_some() -> None:
    router = informed(d_router())
    assert_dropped(router, router.on_packet(flow(None, proto=UDP), now_s=1), "no_ports")


def test_protocols_without_ports_are_steered_too() -> None:
    router = informed(d_router())
    assert only(router.on_packet(flow(None, proto=1), now_s=1), ForwardPacket).entry.d_bid == NEAR


def test_an_instance_s_own_call_is_served_by_another() -> None:
    router = informed(d_router(service(policy="closest")))
    assert only(router.on_packet(flow(src=CLIENT), now_s=1), InstallAffinity).entry.d_bid == NEAR
    assert only(router.on_packet(flow(src=NEAR), now_s=1), InstallAffinity).entry.d_bid == FAR


@pytest.mark.parametrize("fields", [FIVE_TUPLE, ("dst", "proto")], ids=["5-tuple", "no source"])
def test_an_own_call_that_nobody_else_could_serve_is_refused_and_counted(fields: tuple[str, ...]) -> None:
    router = d_router(service(flow_fields=fields))
    router.on_message(report_bytes(HERE, 1, 0, told(NEAR, _RAW)), NEAR, 0)
    assert router.on_packet(flow(src=NEAR), now_s=1) == [RefusePacket("hairpin")]
    router.on_packet(flow(src=CLIENT), now_s=1)  # which binds the flow, where the source is no part of it
    assert router.on_packet(flow(src=NEAR), now_s=1) == [RefusePacket("hairpin")]
    assert router.counters["refused_hairpin"] == 2
    assert router.keeper.on_fragment(flow(src=NEAR)) is None


def test_two_services_of_one_instance_do_not_cross_on_the_way_home() -> None:
    other_d_sid = D_SID + 1
    router = d_router(service(), service(name="store", d_sids=(other_d_sid,)), peers=())
    binding, other = told(NEAR, _RAW), told(NEAR, _RAW, d_sid=other_d_sid)
    router.on_message(report_bytes(HERE, 1, 0, binding, other), NEAR, 0)
    ping, other_ping = flow(None, proto=1), flow(None, proto=1, dst=other_d_sid)
    entry = only(router.on_packet(ping, now_s=1), InstallAffinity).entry
    assert router.on_packet(other_ping, now_s=1) == [DropPacket("way_home_taken")]
    router.keeper.on_forward_entry_removed(entry.number, idle=False)
    assert only(router.on_packet(other_ping, now_s=2), ForwardPacket).entry.d_bid == NEAR


# -- the end of a flow -----------------------------------------------------------------------------


def test_an_idle_flow_ends_when_nothing_came_home_either() -> None:
    router = informed(d_router())
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    assert router.keeper.on_forward_entry_removed(entry.number, idle=True) == [ReadReturnPackets(entry)]
    assert router.affinity.find(flow()) == entry
    assert router.keeper.on_return_packets(entry.number, packets=0, now_s=31) == [RemoveAffinity(entry)]
    assert (router.affinity.find(flow()), router.counters["bindings_ended"]) == (None, 1)


def test_a_flow_that_only_comes_home_stays_bound_as_long_as_it_does() -> None:
    router = informed(d_router())
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    for period, packets in enumerate((100, 250, 251), 1):
        router.keeper.on_forward_entry_removed(entry.number, idle=True)
        kept = entry._replace(installed_s=30 * period, return_packets=packets)
        assert router.keeper.on_return_packets(entry.number, packets, now_s=30 * period) == [InstallAffinity(kept)]
    router.keeper.on_forward_entry_removed(entry.number, idle=True)
    assert router.keeper.on_return_packets(entry.number, 251, now_s=120) == [RemoveAffinity(kept)]


def test_an_entry_removed_for_another_reason_ends_the_flow() -> None:
    router = informed(d_router())
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    assert router.keeper.on_forward_entry_removed(entry.number, idle=False) == [RemoveAffinity(entry)]
    assert len(router.affinity) == 0


def test_news_of_entries_that_are_not_known_is_ignored() -> None:
    router = informed(d_router())
    assert router.keeper.on_forward_entry_removed(99, idle=True) == []
    assert router.keeper.on_return_packets(99, packets=1, now_s=1) == []


def test_after_its_end_a_flow_is_decided_anew() -> None:
    router = informed(d_router(service(policy="round_robin")))
    first = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    router.keeper.on_forward_entry_removed(first.number, idle=False)
    second = only(router.on_packet(flow(), now_s=2), InstallAffinity).entry
    assert (first.d_bid, second.d_bid) == (NEAR, FAR)
    assert second.number != first.number


def test_answers_of_each_instance_are_watched_from_its_first_report_on() -> None:
    router = d_router()
    reported = report_bytes(HERE, 1, 0, told(NEAR, _RAW), told(NEAR6, _RAW))
    assert of_kind(router.on_message(reported, NEAR, 0), TrackReverseFlows) == [
        TrackReverseFlows(NEAR),
        TrackReverseFlows(NEAR6),
    ]
    again = report_bytes(HERE, 2, 1, told(NEAR, _RAW))
    assert of_kind(router.on_message(again, NEAR, 1), TrackReverseFlows) == []
    assert set(of_kind(router.on_switch_connected(2), TrackReverseFlows)) == {
        TrackReverseFlows(NEAR),
        TrackReverseFlows(NEAR6),
    }


def test_hosts_that_may_come_to_be_instances_are_watched_from_the_start() -> None:
    router = d_router(d_bids=(NEAR,))
    assert of_kind(router.on_switch_connected(0), TrackReverseFlows) == [TrackReverseFlows(NEAR)]
    reported = report_bytes(HERE, 1, 0, told(NEAR, _RAW))
    assert of_kind(router.on_message(reported, NEAR, 1), TrackReverseFlows) == [], "they are already"


def test_answers_are_not_watched_where_the_switch_binds_until_it_cannot() -> None:
    router = d_router(service(affinity_mode="datapath"))
    reported = report_bytes(HERE, 1, 0, told(NEAR, _RAW))
    assert of_kind(router.on_message(reported, NEAR, 0), TrackReverseFlows) == []
    assert of_kind(router.on_datapath_mode_refused("render"), TrackReverseFlows) == [TrackReverseFlows(NEAR)]


def test_a_switch_that_comes_back_gets_services_and_all_bound_flows() -> None:
    router = informed(d_router())
    intercepted = of_kind(router.on_switch_connected(0), InterceptService)
    assert intercepted == [InterceptService(D_SID), InterceptService(D_SID6)]
    entries = [only(router.on_packet(flow(port), now_s=1), InstallAffinity).entry for port in range(3)]
    actions = router.on_switch_connected(50)
    assert [action.d_sid for action in of_kind(actions, InterceptService)] == [D_SID, D_SID6]
    entries = [entry._replace(installed_s=50) for entry in entries]
    assert [action.entry for action in of_kind(actions, InstallAffinity)] == entries
    assert router.on_packet(flow(0), now_s=50.1) == [ForwardPacket(entries[0])]


# -- in-band messages ------------------------------------------------------------------------------


def test_the_site_s_own_reports_are_passed_on_as_they_are_and_those_of_others_are_not() -> None:
    third = Peer("north", PEER.address + 1, path_cost_ms=5)
    router = d_router(peers=(PEER, third))
    own = report_bytes(HERE, 1, 0, told(NEAR, _RAW))
    sent = of_kind(router.on_message(own, NEAR, 0), SendMessage)
    assert sent == [SendMessage(peer.address, own, "report", is_deferrable=True) for peer in (PEER, third)]
    assert of_kind(router.on_message(report_bytes(THERE, 1, 0, told(FAR, _RAW)), FAR, 0), SendMessage) == []


@pytest.mark.parametrize("state", [State.DOWN, State.DRAINING])
def test_a_report_of_an_instance_that_is_not_up_is_not_deferrable(state: State) -> None:
    """Flows break by it, or flow entries change."""
    own = report_bytes(HERE, 1, 0, told(NEAR, _RAW), replace(told(NEAR + 1, _RAW), state=state))
    (sent,) = of_kind(d_router().on_message(own, NEAR, 0), SendMessage)
    assert not sent.is_deferrable


def test_a_report_by_which_the_switch_binds_is_not_deferrable() -> None:
    router = d_router(service(affinity_mode="datapath"))
    (sent,) = of_kind(router.on_message(report_bytes(HERE, 1, 0, told(NEAR, _RAW)), NEAR, 0), SendMessage)
    assert not sent.is_deferrable


def test_who_listens_besides_the_peers_gets_no_deferrable_report() -> None:
    """It may have no other socket than the one that all else goes through."""
    router = d_router(listeners=(FAR,))
    sent = of_kind(router.on_message(report_bytes(HERE, 1, 0, told(NEAR, _RAW)), NEAR, 0), SendMessage)
    assert {(message.to, message.is_deferrable) for message in sent} == {(PEER.address, True), (FAR, False)}


def test_a_report_counts_from_when_it_came() -> None:
    router = d_router()
    outputs = router.on_message(report_bytes(THERE, 1, 4.9, told(FAR, _RAW)), FAR, 5.2, arrived_s=5.0)
    assert only(outputs, MetricsReceived).time_s == 5.0
    known = router.bindings.get(D_SID, FAR)
    assert known is not None
    assert (known.measured_s, known.received_s) == (4.9, 5.0)


def test_reports_do_not_loop() -> None:
    """Three D-Routers, everything sent is delivered: it comes to rest, each having heard each report once."""
    address = {name: PEER.address + number for number, name in enumerate((HERE, THERE, "north"))}
    routers = {
        name: d_router(site=name, peers=tuple(Peer(other, address[other], 10) for other in address if other != name))
        for name in address
    }
    in_flight = [(name, report_bytes(name, 1, 0, told(NEAR + number, _RAW))) for number, name in enumerate(address)]
    delivered = 0
    while in_flight:
        name, data = in_flight.pop()
        delivered += 1
        assert delivered <= 9
        by_address = {where: other for other, where in address.items()}
        for message in of_kind(routers[name].on_message(data, NEAR, 0), SendMessage):
            in_flight.append((by_address[message.to], message.data))
    assert delivered == 9  # three from agents, each told to two others
    for router in routers.values():
        assert len(router.bindings.usable(D_SID, 0)) == 3
        assert router.counters["reports_overtaken"] == 0


def test_a_report_is_recorded_for_each_binding() -> None:
    router = d_router()
    actions = router.on_message(report_bytes(HERE, 7, 0.5, told(NEAR, _RAW), told(NEAR6, _RAW)), NEAR, 1)
    records = of_kind(actions, MetricsReceived)
    assert [(item.event, item.site, item.sequence, item.d_bid) for item in records] == [
        ("received", HERE, 7, NEAR),
        ("received", HERE, 7, NEAR6),
    ]


@pytest.mark.parametrize(
    ("data", "counter", "reason"),
    [
        (b"junk", "messages_malformed", "malformed: "),
        (report_bytes(HERE, 1, 0, told(NEAR, _RAW))[:-1], "messages_malformed", "malformed: "),
        (report_bytes("south", 1, 0, told(NEAR, _RAW)), "reports_unknown_site", "unknown site"),
    ],
)
def test_what_cannot_be_used_is_dropped_counted_and_recorded(data: bytes, counter: str, reason: str) -> None:
    router = d_router()
    record = only(router.on_message(data, FAR, 1), MetricsReceived)
    assert record.event == "dropped"
    assert record.reason.startswith(reason)
    assert router.counters[counter] == 1
    assert router.bindings.all() == []


def test_a_replayed_report_is_dropped_counted_and_not_passed_on() -> None:
    router = d_router()
    data = report_bytes(HERE, 1, 0, told(NEAR, _RAW))
    router.on_message(data, NEAR, 0)
    actions = router.on_message(data, NEAR, 0.1)
    assert only(actions, MetricsReceived).reason == "replayed or overtaken"
    assert (len(actions), router.counters["reports_overtaken"]) == (1, 1)


# -- load that reports do not show yet ---------------------------------------------------------------


def weighed(actions: list[Action], d_bid: Address) -> Candidate:
    return next(item.candidate for item in only(actions, Decided).weighed if item.candidate.d_bid == d_bid)


def test_flows_given_since_the_last_report_count_until_the_next_one() -> None:
    router = informed(d_router(service(policy="closest")), now_s=0)
    for port in range(3):
        router.on_packet(flow(port), now_s=1)
    near = weighed(router.on_packet(flow(9), 1), NEAR)
    assert (near.unreported, near.expected_sessions) == (3, 3)
    informed(router, now_s=2, near=4, sequence=2)
    near = weighed(router.on_packet(flow(10), 2), NEAR)
    assert near.unreported == 0


def test_one_ingress_does_not_herd_on_an_old_report() -> None:
    router = informed(d_router(), now_s=0)
    chosen = [only(router.on_packet(flow(port), now_s=0.1), Decided).d_bid for port in range(20)]
    assert 5 <= chosen.count(FAR) <= 10  # all of the near one's workers first, then both


# -- paths -----------------------------------------------------------------------------------------


def test_all_peers_are_probed_at_the_interval() -> None:
    router = d_router(probe_interval_s=2)
    (first,) = router.on_timer(100)
    assert isinstance(first, SendMessage)
    assert (first.to, first.kind) == (PEER.address, "probe")
    assert codec.decode(first.data) == Probe(HERE, 1, 100)
    assert router.on_timer(101.9) == []
    (second,) = of_kind(router.on_timer(102), SendMessage)
    assert codec.decode(second.data) == Probe(HERE, 2, 102)


def test_a_probe_is_answered_to_its_sender_with_its_own_time() -> None:
    router = d_router()
    answer = only(router.on_message(codec.encode(Probe(THERE, 5, 12.5)), PEER.address, 99), SendMessage)
    assert (answer.to, answer.kind) == (PEER.address, "probe_reply")
    assert codec.decode(answer.data) == Probe(HERE, 5, 12.5, is_reply=True)


def test_replies_tell_the_round_trip_time_that_decisions_use() -> None:
    router = informed(d_router(), now_s=100)
    router.on_message(codec.encode(Probe(THERE, 1, 100, is_reply=True)), PEER.address, 100.065)
    far = weighed(router.on_packet(flow(), 101), FAR)
    assert far.rtt_s == pytest.approx(0.065)
    assert far.path_cost_ms == 20


@pytest.mark.parametrize("reply", [Probe("south", 1, 100, is_reply=True), Probe(THERE, 1, 101.5, is_reply=True)])
def test_replies_that_cannot_be_are_counted_and_change_nothing(reply: Probe) -> None:
    router = d_router()
    assert router.on_message(codec.encode(reply), PEER.address, 101) == []
    assert router.counters["probes_unexpected"] == 1
    assert router.paths[THERE].rtt_s is None
