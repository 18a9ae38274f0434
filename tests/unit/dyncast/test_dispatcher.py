"""The CFN Dispatcher and its CFN node: first packets on, answers back, bindings here and none there."""

from __future__ import annotations

import pytest

from testbed.dyncast.actions import (
    DropHeld,
    DropPacket,
    ForwardPacket,
    HoldPacket,
    InstallAffinity,
    InterceptService,
    ReadReturnPackets,
    RefusePacket,
    RemoveAffinity,
    RequestSelection,
    ReturnPacket,
    SendMessage,
    TrackReverseFlows,
    TrackUplink,
)
from testbed.dyncast.affinity.table import HeldFlow
from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Identity, Role
from testbed.dyncast.messages.dispatch_messages import Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.inspection import SECTIONS, page
from testbed.net.addresses import Address
from testbed.net.flow_key import THREE_TUPLE, UDP
from tests.dispatcher_samples import ADDRESS, CLIENT_PORT, DISPATCHER, NODE_ADDRESS, SHARED, UPLINK, Wire
from tests.dispatcher_samples import cfn_node as node
from tests.dispatcher_samples import dispatcher as home
from tests.dyncast_samples import (
    CLIENT6,
    D_SID,
    D_SID6,
    FAR,
    HERE,
    NEAR,
    NEAR6,
    THERE,
    flow,
    informed,
    of_kind,
    only,
    report_bytes,
    service,
    told,
)

WAYS = pytest.mark.parametrize("tells", ["explicit", "implicit"])
_OTHER_D_SID = D_SID + 1
_UP = RawMetrics(4)


def wire(tells: str = "explicit") -> Wire:
    return Wire(informed(node(tells=tells)), home(tells=tells))


# -- the first packet --------------------------------------------------------------------------------


def test_the_first_packet_goes_to_the_cfn_node_and_is_held_with_those_that_follow() -> None:
    dispatcher = home()
    assert dispatcher.on_packet(flow(), 1, CLIENT_PORT) == [HoldPacket(flow()), RequestSelection(flow())]
    assert dispatcher.on_packet(flow(), 1, CLIENT_PORT) == [HoldPacket(flow())]
    assert len(dispatcher.affinity) == 0


@WAYS
def test_the_cfn_node_selects_and_keeps_nothing(tells: str) -> None:
    cfn_node = informed(node(tells=tells))
    actions = cfn_node.on_packet(flow(), 1, in_port=4)
    decided = only(actions, Decided)
    assert {type(action) for action in actions} <= {Decided, SendMessage, ReturnPacket}
    assert (len(cfn_node.affinity), cfn_node.counters["flows_dispatched"]) == (0, 1)
    if tells == "explicit":
        message = only(actions, SendMessage)
        assert (message.to, message.kind) == (ADDRESS, "assignment")
        told_so = codec.decode(message.data)
        assert isinstance(told_so, Assignment)
        assert (told_so.flow, told_so.d_bid, told_so.egress, told_so.timeout_s) == (flow(), decided.d_bid, HERE, 30)
    else:
        assert only(actions, ReturnPacket).d_bid == decided.d_bid


def test_packets_of_other_clients_of_the_cfn_node_are_bound_there() -> None:
    cfn_node = informed(node())
    assert of_kind(cfn_node.on_packet(flow(), 1, in_port=3), InstallAffinity)
    assert len(cfn_node.affinity) == 1


@WAYS
def test_the_binding_is_in_place_before_any_packet_goes_and_all_go_in_order(tells: str) -> None:
    network = wire(tells)
    for _ in range(3):
        network.client_sends(flow(), 1)
    assert network.reached == {}
    network.settle(1)
    assert network.reached == {flow(): [NEAR] * 3}
    assert (len(network.home.affinity), len(network.node.affinity)) == (1, 0)


@WAYS
def test_it_holds_for_both_families(tells: str) -> None:
    network = wire(tells)
    packet = flow(src=CLIENT6, dst=D_SID6, proto=UDP)
    network.client_sends(packet, 1)
    network.settle(1)
    assert network.reached == {packet: [NEAR6]}


@WAYS
def test_a_flow_is_identified_as_its_service_says(tells: str) -> None:
    of = service(policy="round_robin", flow_fields=THREE_TUPLE)
    network = Wire(informed(node(of, tells=tells)), home(of, tells=tells))
    network.client_sends(flow(40000), 1)
    network.settle(1)
    network.client_sends(flow(40001), 1)
    assert network.reached == {of.identifier(flow()): [NEAR, NEAR]}


@pytest.mark.parametrize("dst", [D_SID, NEAR], ids=["refused", "selected"])
def test_a_dispatcher_that_gets_messages_obeys_no_packet_that_comes_back(dst: Address) -> None:
    dispatcher = home(tells="explicit")
    dispatcher.on_packet(flow(), 1, CLIENT_PORT)
    assert dispatcher.on_packet(flow()._replace(dst=dst), 1, UPLINK) == [DropPacket("returned_unasked")]
    assert (len(dispatcher.affinity), dispatcher.counters["dropped_returned_unasked"]) == (0, 1)
    assert dispatcher.on_packet(flow(), 1, CLIENT_PORT) == [HoldPacket(flow())]  # the answer is awaited still


def test_packets_that_come_up_although_the_flow_is_bound_follow_it() -> None:
    network = wire()
    network.client_sends(flow(), 1)
    network.settle(1)
    (entry,) = network.home.affinity
    assert network.home.on_packet(flow(), 1.1, CLIENT_PORT) == [ForwardPacket(entry)]


def test_the_egress_and_the_timeout_are_those_that_the_cfn_node_says() -> None:
    network = Wire(informed(node(service(policy="round_robin", affinity_timeout_s=77))), home())
    network.client_sends(flow(), 1)
    network.settle(1)
    (entry,) = network.home.affinity
    assert (entry.egress, entry.timeout_s) == (HERE, 77)


def test_two_that_would_come_back_alike_are_asked_about_one_after_the_other() -> None:
    both = service(d_sids=(D_SID, D_SID6)), service(name="other", d_sids=(_OTHER_D_SID,))
    dispatcher = home(*both, tells="implicit")
    assert of_kind(dispatcher.on_packet(flow(), 0, CLIENT_PORT), RequestSelection)
    twin = flow(dst=_OTHER_D_SID)
    assert dispatcher.on_packet(twin, 0, CLIENT_PORT) == [HoldPacket(twin)]
    first = only(dispatcher.on_packet(flow(dst=NEAR), 0.1, UPLINK), InstallAffinity).entry
    assert first.flow == flow()
    assert dispatcher.on_timer(1) == [RequestSelection(twin)]
    assert only(dispatcher.on_packet(flow(dst=FAR), 1.1, UPLINK), InstallAffinity).entry.flow == twin


# -- nobody to serve, nobody to answer ---------------------------------------------------------------


@WAYS
def test_without_an_instance_the_cfn_node_refuses_and_the_dispatcher_forgets(tells: str) -> None:
    network = Wire(node(tells=tells), home(tells=tells))
    network.client_sends(flow(), 1)
    packet = network.to_node.pop()
    actions = network.node.on_packet(packet, 1, in_port=4)
    assert only(actions, RefusePacket)
    network.at_node(actions, packet)
    network.settle(1)
    assert network.home.counters["refused_no_instance"] == 1
    assert network.held == {} and network.home.on_timer(100) == []
    assert of_kind(network.home.on_packet(flow(), 2, CLIENT_PORT), RequestSelection)  # the next one is tried again


@WAYS
def test_what_is_lost_is_asked_again_and_a_second_answer_changes_nothing(tells: str) -> None:
    network = wire(tells)
    network.client_sends(flow(), 0)
    network.node_hears(0, 0)
    assert network.home.on_timer(0.4) == []
    network.at_home(network.home.on_timer(0.5))
    network.node_hears(0, 0.6)
    network.home_hears(1, 0.7)  # the answer to the second, which is another by turns
    network.home_hears(0, 5)
    network.client_sends(flow(), 6)
    assert network.reached == {flow(): [FAR, FAR]}
    assert network.home.counters["answers_unexpected"] == 1


def test_who_never_answers_is_given_up_and_what_was_held_is_dropped_and_counted() -> None:
    dispatcher = home()
    for _ in range(3):
        dispatcher.on_packet(flow(), 0, CLIENT_PORT)
    asked, now_s = 1, 0.0
    while dispatcher.counters["dropped_unanswered"] == 0:
        now_s += 0.1
        actions = dispatcher.on_timer(now_s)
        asked += len(of_kind(actions, RequestSelection))
    assert (asked, dispatcher.counters["dropped_unanswered"]) == (4, 3)
    assert actions == [DropHeld(flow())]
    assert 7 < now_s < 8


def test_what_is_held_has_a_bound() -> None:
    dispatcher = home()
    for _ in range(100):
        actions = dispatcher.on_packet(flow(), 0, CLIENT_PORT)
    assert actions == [DropPacket("too_many_held")]
    for port in range(5000):
        actions = dispatcher.on_packet(flow(port), 0, CLIENT_PORT)
    assert actions == [DropPacket("too_many_asking")]


@pytest.mark.parametrize(
    ("packet", "reason"), [(flow(dst=FAR), "unknown_d_sid"), (flow(None), "no_ports")], ids=["no_service", "fragment"]
)
def test_what_belongs_to_no_flow_is_dropped(packet: object, reason: str) -> None:
    dispatcher = home()
    assert dispatcher.on_packet(packet, 0, CLIENT_PORT) == [DropPacket(reason)]  # type: ignore[arg-type]
    assert dispatcher.counters[f"dropped_{reason}"] == 1


def test_of_two_services_of_one_instance_one_flow_would_come_home_as_the_other() -> None:
    both = service(), service(name="other", d_sids=(_OTHER_D_SID,))
    dispatcher = home(*both)
    for d_sid in (D_SID, _OTHER_D_SID):
        dispatcher.on_packet(flow(dst=d_sid), 0, CLIENT_PORT)
        message = Assignment(HERE, 1, 0, flow(dst=d_sid), NEAR, HERE, 30)
        actions = dispatcher.on_message(codec.encode(message), NODE_ADDRESS, 0)
    assert actions == [DropHeld(flow(dst=_OTHER_D_SID))]
    assert (len(dispatcher.affinity), dispatcher.counters["dropped_way_home_taken"]) == (1, 1)


# -- a binding ends ----------------------------------------------------------------------------------


def test_an_idle_flow_ends_and_one_that_only_comes_home_stays() -> None:
    network = wire()
    network.client_sends(flow(), 1)
    network.settle(1)
    (entry,) = network.home.affinity
    assert network.home.keeper.on_forward_entry_removed(entry.number, idle=True) == [ReadReturnPackets(entry)]
    assert of_kind(network.home.keeper.on_return_packets(entry.number, 5, 40), InstallAffinity)
    assert of_kind(network.home.keeper.on_return_packets(entry.number, 5, 80), RemoveAffinity)
    assert len(network.home.affinity) == 0


def dead(network: Wire, now_s: float) -> None:
    """Let the CFN node hear twice that the near instance is down, and tell so."""
    for sequence in (2, 3):
        network.node.on_message(report_bytes(HERE, sequence, now_s, told(NEAR, None)), NEAR, now_s)
    network.at_node(network.node.on_timer(now_s))


@WAYS
def test_flows_of_an_instance_that_died_are_dispatched_anew_through_the_cfn_node(tells: str) -> None:
    network = wire(tells)
    network.client_sends(flow(), 1)
    network.settle(1)
    assert network.reached[flow()] == [NEAR]
    dead(network, 2)
    network.settle(2)
    assert network.home.counters["flows_broken"] == 1 and network.entries == {}
    network.client_sends(flow(), 3)
    network.settle(3)
    assert network.reached[flow()] == [NEAR, FAR]
    assert network.home.counters["flows_redispatched"] == 1


@WAYS
def test_flows_to_an_egress_that_is_not_reachable_are_dispatched_anew(tells: str) -> None:
    network = wire(tells)
    for port in (1, 2):
        network.client_sends(flow(port), 1)
    network.settle(1)
    assert network.reached == {flow(1): [NEAR], flow(2): [FAR]}
    network.node.on_message(codec.encode(Probe(THERE, 1, 1, is_reply=True)), FAR, 1)
    for second in range(2, 9):  # probes to the other site, which nobody answers any more
        network.at_node(network.node.on_timer(second))
        network.settle(second)
    assert network.home.counters["flows_cut_off"] == 1
    informed(network.node, 9, sequence=2)
    network.client_sends(flow(2), 9)
    network.settle(9)
    assert network.reached[flow(2)] == [FAR, NEAR]
    assert (network.home.counters["flows_redispatched"], network.home.counters["flows_broken"]) == (1, 0)


def test_a_withdrawal_is_repeated_while_it_is_so_and_needs_no_answer() -> None:
    network = wire()
    network.client_sends(flow(), 1)
    network.settle(1)
    dead(network, 2)
    network.to_home.clear()  # lost
    for tenth in range(21, 36):
        network.at_node(network.node.on_timer(tenth / 10))
    assert len(network.to_home) == 1
    network.settle(4)
    assert network.home.counters["flows_broken"] == 1
    network.node.on_message(report_bytes(HERE, 4, 5, told(NEAR, _UP)), NEAR, 5)
    network.at_node(network.node.on_timer(6))
    network.at_node(network.node.on_timer(8))
    assert network.to_home == []


def test_many_withdrawn_bindings_are_told_in_several_messages() -> None:
    cfn_node = node()
    for sequence in (1, 2):
        bindings = [told(FAR + number, None) for number in range(60)]
        cfn_node.on_message(report_bytes(THERE, sequence, 1, *bindings), FAR, 1)
    sent = [item for item in of_kind(cfn_node.on_timer(1), SendMessage) if item.kind == "withdrawal"]
    told_so = [codec.decode(item.data) for item in sent]
    assert [len(item.bindings) for item in told_so if isinstance(item, Withdrawal)] == [32, 28]


def test_a_reset_ends_bindings_without_counting_them_as_lost() -> None:
    network = wire()
    network.client_sends(flow(), 1)
    network.settle(1)
    actions, following = network.home.reset_flows(network.home.config.services, 0, 100)
    assert len(of_kind(actions, RemoveAffinity)) == 1 and following is None
    assert (network.home.counters["bindings_reset"], network.home.counters["flows_broken"]) == (1, 0)


# -- the switch ----------------------------------------------------------------------------------------


@WAYS
def test_a_switch_is_told_to_bring_up_what_concerns_the_dispatcher(tells: str) -> None:
    actions = home(tells=tells).on_switch_connected(0)
    assert of_kind(actions, InterceptService) == [InterceptService(D_SID), InterceptService(D_SID6)]
    assert only(actions, TrackUplink).brings_back == (tells == "implicit")


def test_what_an_instance_sends_is_watched_from_the_first_binding_on() -> None:
    dispatcher, actions = home(tells="implicit"), []
    for now_s, port in ((0, 40000), (1, 40001)):
        dispatcher.on_packet(flow(port), now_s, CLIENT_PORT)
        actions.append(dispatcher.on_packet(flow(port, dst=NEAR), now_s + 0.1, UPLINK))
    assert [of_kind(outputs, TrackReverseFlows) for outputs in actions] == [[TrackReverseFlows(NEAR)], []]
    assert of_kind(dispatcher.on_switch_connected(2), TrackReverseFlows) == [TrackReverseFlows(NEAR)]


def test_a_dispatcher_that_starts_again_goes_on_with_what_its_switch_holds() -> None:
    dispatcher = home()
    held = HeldFlow(7, flow(), NEAR, age_s=5, has_forward=True, has_reverse=True)
    assert not of_kind(dispatcher.on_switch_connected(10, [held]), InstallAffinity)
    (entry,) = dispatcher.affinity
    assert (entry.number, entry.d_bid, entry.created_s) == (7, NEAR, 5)
    withdrawal = Withdrawal(HERE, 1, 11, (Withdrawn(D_SID, NEAR, Cause.DIED),))
    assert only(dispatcher.on_message(codec.encode(withdrawal), NODE_ADDRESS, 11), RemoveAffinity).entry == entry


# -- whom it believes ----------------------------------------------------------------------------------

_KEY = bytes(range(32))
_NODE = Identity(Role.D_ROUTER, HERE)
_NODE_KEYS = {_NODE: b"n" * 32, SHARED: _KEY}


def test_what_the_cfn_node_says_is_signed_for_the_dispatcher_alone() -> None:
    cfn_node = node(authenticator=Authenticator(_NODE, _NODE_KEYS, 1))
    dispatcher = home(authenticator=Authenticator(SHARED, {SHARED: _KEY}, 1))
    message = only(cfn_node.on_packet(flow(), 1, in_port=4), SendMessage).data
    dispatcher.on_packet(flow(), 1, CLIENT_PORT)
    forged = bytearray(message)
    forged[-1] ^= 1
    unsigned = codec.encode(Assignment(HERE, 1, 1, flow(), FAR, HERE, 30))
    by_its_own_key = Authenticator(_NODE, _NODE_KEYS, 1).sign(codec.encode(Probe(HERE, 1, 1)), DISPATCHER)
    for data, counter in (
        (bytes(forged), "messages_forged"),
        (unsigned, "messages_unauthenticated"),
        (by_its_own_key, "messages_unknown_sender"),
    ):
        dispatcher.on_message(data, NODE_ADDRESS, 1)
        assert dispatcher.counters[counter] == 1, counter
    refused = only(dispatcher.on_message(bytes(forged), NODE_ADDRESS, 1), MetricsReceived)
    assert refused.reason == f"forged: not with the key of the CFN Dispatcher {DISPATCHER!r}"
    assert dispatcher.on_message(message, NODE_ADDRESS, 1) == [DropHeld(flow())]  # no instance, says the node itself
    dispatcher.on_message(message, NODE_ADDRESS, 1)
    assert dispatcher.counters["messages_replayed"] == 1


def test_a_dispatcher_believes_nobody_but_its_cfn_node() -> None:
    dispatcher = home()
    dispatcher.on_packet(flow(), 1, CLIENT_PORT)
    dispatcher.on_message(codec.encode(Assignment(THERE, 1, 1, flow(), FAR, THERE, 30)), NODE_ADDRESS, 1)
    dispatcher.on_message(codec.encode(Probe(HERE, 1, 1)), NODE_ADDRESS, 1)
    dispatcher.on_message(report_bytes(HERE, 1, 1, told(NEAR, _UP)), NODE_ADDRESS, 1)
    assert len(dispatcher.affinity) == 0 and dispatcher.bindings.all() == []
    assert dispatcher.counters["messages_unknown_sender"] == 1
    assert dispatcher.counters["messages_unexpected"] == 1
    assert dispatcher.counters["reports_unknown_site"] == 1


def test_a_packet_that_comes_back_unasked_is_counted_and_nothing_else() -> None:
    dispatcher = home(tells="implicit")
    assert dispatcher.on_packet(flow(dst=NEAR), 1, UPLINK) == []
    assert dispatcher.on_packet(flow(), 1, UPLINK) == []
    assert dispatcher.counters["answers_unexpected"] == 2


# -- looking inside --------------------------------------------------------------------------------------


def test_a_dispatcher_shows_its_flows_and_that_it_knows_nothing_else() -> None:
    network = wire()
    network.client_sends(flow(), 1)
    network.settle(1)
    (row,) = page(network.home, "flows", 0, 3).rows
    assert (row["d_sid"], row["d_bid"], row["egress"], row["age_s"]) == (str(D_SID), str(NEAR), HERE, 2)
    service_row = page(network.home, "services", 0, 3).rows[0]
    assert (service_row["bound_by"], service_row["flows_bound"], service_row["policy"]) == ("dispatcher", 1, None)
    shown = {section for section in SECTIONS if page(network.home, section, 0, 3).rows}
    assert shown == {"services", "flows", "counters"}
    assert page(network.node, "flows", 0, 3).rows == []
