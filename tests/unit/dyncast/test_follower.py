"""The ingress in the centralized mode: it follows what it was told, as far as it is good, and tells what it sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.dyncast.actions import RefusePacket, RemoveAffinity, SetWeights, TerminateFlows, TrackReverseFlows
from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import WHOLE, AssignedFlows, IngressStatus, Load, Loads, Path, Shares
from testbed.dyncast.messages.reports import Probe, Report
from testbed.dyncast.metrics.levels import State
from tests.control_samples import RAW, chosen, decision, follower, hears, sent, share, status
from tests.dyncast_samples import (
    D_SID,
    FAR,
    HERE,
    NEAR,
    THERE,
    flow,
    of_kind,
    only,
    service,
    told,
)


def test_an_ingress_draws_from_the_shares_it_was_told() -> None:
    router = follower()
    hears(router, decision(1, 100.0, share(NEAR, WHOLE * 3 // 4), share(FAR, WHOLE // 4)), 100.0)
    drawn = chosen(router, 100.0, 400)
    assert 250 < drawn[NEAR] < 350  # over 5 standard deviations
    assert drawn.total() == 400
    hears(router, decision(2, 100.5, share(NEAR, 0), share(FAR, WHOLE)), 100.6)
    assert chosen(router, 100.6) == {FAR: 200}


def test_an_ingress_hands_the_shares_to_a_switch_that_binds_flows_itself() -> None:
    router = follower(services=(service(affinity_mode="datapath"),))
    actions = hears(router, decision(1, 100.0, share(NEAR, WHOLE * 3 // 4), share(FAR, WHOLE // 4)), 100.0)
    assert only(actions, SetWeights) == SetWeights(D_SID, {NEAR: 48, FAR: 16}, frozenset({NEAR, FAR}))
    assert of_kind(actions, TrackReverseFlows) == []
    dead = hears(router, decision(2, 101.0, share(NEAR, 0, state=State.DOWN), share(FAR, WHOLE)), 101.0)
    assert only(dead, TerminateFlows) == TerminateFlows(D_SID, NEAR)
    assert only(dead, SetWeights).shares == {FAR: 64}


@pytest.mark.parametrize("mode", ["reactive", "datapath"])
def test_an_instance_that_left_the_decision_gets_no_more_flows(mode: str) -> None:
    router = follower(services=(service(affinity_mode=mode),))
    hears(router, decision(1, 100.0, share(NEAR, WHOLE // 2), share(FAR, WHOLE // 2)), 100.0)
    assert {item.candidate.d_bid for item in router.weighed(D_SID, 100.05)} == {NEAR, FAR}
    hears(
        router, decision(1000, 100.06, share(NEAR, WHOLE)), 100.06
    )  # the controller restarted and FAR's agent is silent
    assert chosen(router, 100.06) == {NEAR: 200}


def test_an_ingress_follows_the_controller_whatever_the_policy() -> None:
    router = follower(services=(service(policy="oracle"),))
    hears(router, decision(1, 100.0, share(NEAR, WHOLE), share(FAR, 0)), 100.0)
    assert chosen(router, 100.0) == {NEAR: 200}


def test_shares_of_unknown_services_and_sites_are_not_kept() -> None:
    router = follower()
    unknown = replace(share(FAR + 1, WHOLE), d_sid=D_SID + 1)
    hears(router, decision(1, 100.0, share(FAR, WHOLE, egress="nowhere"), unknown, share(NEAR, WHOLE)), 100.0)
    assert [binding.d_bid for binding in router.bindings.all()] == [NEAR]


def test_a_decision_tells_the_age_of_the_metrics_behind_it() -> None:
    router = follower()
    actions = hears(router, decision(1, 100.0, share(FAR, WHOLE, measured_s=99.25)), 100.125)
    assert [(item.event, item.site, item.d_bid) for item in of_kind(actions, MetricsReceived)] == [("told", THERE, FAR)]
    decided = only(router.on_packet(flow(), 100.25), Decided)
    assert decided.metrics_age_s == pytest.approx(1.0)
    (weighed,) = decided.weighed
    assert (weighed.candidate.metrics, weighed.cost, weighed.weight) == (None, None, WHOLE)


def test_an_ingress_tells_what_it_measured_and_gave_at_the_interval() -> None:
    router = follower()
    (first,) = sent(router.on_timer(100.0), "ingress_status")
    assert first == IngressStatus(HERE, 100_000, 100.0, (Path(THERE, 20.0, 0.02),), ())
    hears(router, decision(1, 100.0, share(NEAR, WHOLE)), 100.1)
    hears(router, Probe(THERE, 1, 100.0, is_reply=True), 100.05)
    chosen(router, 100.2, 3)
    assert sent(router.on_timer(100.45), "ingress_status") == []
    (second,) = sent(router.on_timer(100.5), "ingress_status")
    assert isinstance(second, IngressStatus)
    assert (second.sequence, second.assigned) == (100_001, (AssignedFlows(D_SID, NEAR, 3),))
    assert second.paths[0].cost_s == pytest.approx(0.05)


def test_an_ingress_tells_what_the_switch_gave() -> None:
    router = follower(services=(service(affinity_mode="datapath"),))
    hears(router, decision(1, 100.0, share(NEAR, WHOLE)), 100.0)
    router.on_flows_assigned(D_SID, NEAR, 5, 100.2)
    router.on_flows_assigned(D_SID, NEAR, 12, 100.4)
    (told_,) = sent(router.on_timer(100.5), "ingress_status")
    assert isinstance(told_, IngressStatus)
    assert told_.assigned == (AssignedFlows(D_SID, NEAR, 12),)


def test_a_dead_path_is_left_and_told_at_once() -> None:
    router = follower(probe_interval_s=1.0)
    hears(router, decision(1, 100.0, share(NEAR, WHOLE // 2), share(FAR, WHOLE // 2)), 100.0)
    router.on_timer(100.0)
    hears(router, Probe(THERE, 1, 100.0, is_reply=True), 100.02)
    statuses = [
        (now_s, sent(router.on_timer(now_s), "ingress_status")) for now_s in (101.0, 102.0, 103.0, 103.1, 104.0)
    ]
    assert [bool(messages) for _, messages in statuses] == [True, True, True, False, True]
    hears(router, decision(2, 104.0, share(NEAR, WHOLE // 2), share(FAR, WHOLE // 2)), 104.0)
    (message,) = statuses[-1][1]
    assert isinstance(message, IngressStatus)
    assert not message.paths[0].is_reachable
    assert chosen(router, 104.1) == {NEAR: 200}  # whatever the controller, which cannot know yet, says


def test_without_word_the_last_shares_hold_for_a_lifetime_and_then_flows_are_refused() -> None:
    router = follower()
    router.on_timer(99.0)
    hears(router, decision(1, 100.0, share(NEAR, WHOLE)), 100.0)
    assert chosen(router, 109.9) == {NEAR: 200}
    router.on_timer(109.9)
    assert router.counters["controller_lost"] == 0
    router.on_timer(110.1)
    assert router.counters["controller_lost"] == 1
    assert router.on_packet(flow(1), 110.2) == [RefusePacket("no_instance")]
    hears(router, decision(2, 111.0, share(NEAR, WHOLE)), 111.0)
    router.on_timer(111.1)
    assert router.counters["controller_back"] == 1
    assert chosen(router, 111.1) == {NEAR: 200}


def test_a_decision_in_parts_counts_when_all_are_there_in_any_order() -> None:
    router = follower()
    hears(router, decision(1, 100.0, share(NEAR, WHOLE)), 100.0)
    parts = [
        Shares(THERE, 5 + number, 101.0, (share(FAR + number, WHOLE // 2, egress=THERE),), number, 2)
        for number in range(2)
    ]
    assert of_kind(hears(router, parts[1], 101.0), MetricsReceived) == []
    assert chosen(router, 101.0) == {NEAR: 200}
    assert len(of_kind(hears(router, parts[0], 101.1), MetricsReceived)) == 2
    assert chosen(router, 101.1).keys() == {FAR, FAR + 1}
    lost = Shares(THERE, 7, 102.0, (share(NEAR, WHOLE),), 0, 2)
    hears(router, lost, 102.0)
    assert chosen(router, 102.0).keys() == {FAR, FAR + 1}
    hears(router, decision(9, 103.0, share(FAR, WHOLE)), 103.0)
    assert chosen(router, 103.0) == {FAR: 200}


@pytest.mark.parametrize(
    ("message", "counter"),
    [
        (decision(1, 100.0, share(FAR, WHOLE)), "messages_overtaken"),
        (decision(2, 100.0, share(FAR, WHOLE)), "messages_overtaken"),
        (decision(3, 100.0, share(FAR, WHOLE), site="north"), "messages_unexpected"),
        (status(1, 100.0), "messages_unexpected"),
        (Loads(THERE, 1, 100.0, (Load(D_SID, FAR, 100.0, RAW),)), "messages_unexpected"),
        (Report(THERE, 1, 100.0, (told(FAR, RAW),)), "messages_unexpected"),
    ],
)
def test_what_an_ingress_has_no_use_for_changes_nothing_and_is_counted(message: codec.Message, counter: str) -> None:
    router = follower()
    hears(router, decision(2, 100.0, share(NEAR, WHOLE)), 100.0)
    record = only(hears(router, message, 100.1), MetricsReceived)
    assert (record.event, router.counters[counter]) == ("dropped", 1)
    assert chosen(router, 100.1) == {NEAR: 200}


def test_flows_of_an_instance_that_is_sure_to_be_dead_end_and_those_of_one_that_drains_stay() -> None:
    router = follower()
    hears(router, decision(1, 100.0, share(NEAR, WHOLE)), 100.0)
    chosen(router, 100.0, 7)
    drains = hears(router, decision(2, 101.0, share(NEAR, 0, state=State.DRAINING), share(FAR, WHOLE)), 101.0)
    assert of_kind(drains, RemoveAffinity) == []
    dead = decision(3, 102.0, share(NEAR, 0, state=State.DOWN), share(FAR, WHOLE))
    assert len(of_kind(hears(router, dead, 102.0), RemoveAffinity)) == 7
    assert of_kind(hears(router, replace(dead, sequence=4), 102.5), RemoveAffinity) == []
