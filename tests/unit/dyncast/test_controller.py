"""The controller: what it hears, what it decides for each ingress, and when it tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.events import MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import WHOLE, Path, Shares
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router_config import Peer
from tests.control_samples import (
    CENTRALIZED,
    INGRESS,
    RAW,
    chosen,
    controller,
    decided,
    decision,
    follower,
    hears,
    informed_controller,
    sent,
    share,
    status,
)
from tests.dyncast_samples import (
    D_SID,
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    informed,
    of_kind,
    only,
    report_bytes,
    service,
    told,
)


def test_reports_are_for_the_controller_alone() -> None:
    actions = controller().on_message(report_bytes(THERE, 1, 0, told(FAR, RAW)), FAR, 0)
    assert of_kind(actions, SendMessage) == []


def test_the_controller_decides_by_the_paths_of_the_ingress_and_not_by_its_own() -> None:
    router = informed(controller(services=(service(policy="closest"),)), 100.0)
    assert decided(router.on_timer(100.0)) == {}  # no ingress is known
    hears(router, status(1, 100.0), 100.1)
    shares = decided(router.on_timer(100.1))
    assert {d_bid: item.share for d_bid, item in shares.items()} == {NEAR: WHOLE, FAR: 0}
    assert chosen(router, 100.1) == {FAR: 200}  # as an ingress it is close to the other one


def test_shares_say_what_they_rest_on() -> None:
    shares = decided(informed_controller().on_timer(100.5))
    assert [(item.egress, item.state, item.measured_s) for item in (shares[NEAR], shares[FAR])] == [
        (HERE, State.UP, pytest.approx(100.0)),
        (THERE, State.UP, pytest.approx(100.0)),
    ]


def test_the_controller_tells_at_the_interval_and_of_a_state_or_a_path_at_once() -> None:
    router = informed_controller()
    assert decided(router.on_timer(100.45)) == {}
    assert decided(router.on_timer(100.5))
    router.on_message(report_bytes(THERE, 2, 100.6, told(FAR, RawMetrics(4, sessions=9))), FAR, 100.6)
    assert decided(router.on_timer(100.6)) == {}
    router.on_message(report_bytes(THERE, 3, 100.65, replace(told(FAR, RAW), state=State.DRAINING)), FAR, 100.65)
    shares = decided(router.on_timer(100.65))
    assert (shares[FAR].share, shares[FAR].state, shares[NEAR].share) == (0, State.DRAINING, WHOLE)
    hears(router, status(2, 100.7, is_reachable=False), 100.7)
    assert decided(router.on_timer(100.7))


def test_an_instance_is_told_of_as_dead_when_that_is_sure() -> None:
    router = informed_controller()
    router.on_message(report_bytes(THERE, 2, 101.0, told(FAR, None)), FAR, 101.0)
    assert decided(router.on_timer(101.0))[FAR].state is State.DRAINING
    router.on_message(report_bytes(THERE, 3, 102.0, told(FAR, None)), FAR, 102.0)
    shares = decided(router.on_timer(102.0))
    assert (shares[FAR].state, shares[FAR].share, shares[NEAR].share) == (State.DOWN, 0, WHOLE)


def test_what_an_ingress_cannot_reach_it_gets_no_share_of() -> None:
    router = informed_controller(near=50)
    assert decided(router.on_timer(100.5))[FAR].share > 0
    hears(router, status(2, 101.0, is_reachable=False), 101.0)
    assert {item.d_bid: item.share for item in decided(router.on_timer(101.0)).values()} == {NEAR: WHOLE, FAR: 0}


def test_flows_that_ingresses_gave_count_until_reports_show_them() -> None:
    router = informed_controller()
    hears(router, status(2, 100.4, near=1), 100.4)
    before = decided(router.on_timer(100.5))
    assert before[NEAR].share > before[FAR].share
    hears(router, status(3, 100.9, near=41), 100.9)
    after = decided(router.on_timer(101.0))
    assert after[NEAR].share < after[FAR].share
    assert (
        next(item for item in router.weighed(D_SID, 101.0) if item.candidate.d_bid == NEAR).candidate.unreported == 41
    )


def test_ingresses_are_not_all_sent_to_who_is_idle_now() -> None:
    """Two ingresses, 40 flows/s each, and two instances of which one has a little less to do."""
    other = Peer("north", PEER.address + 1, path_cost_ms=20.0)
    router = informed(controller(peers=(INGRESS, other)), 100.0, near=4, far=8)
    router.on_timer(100.0)
    for site in (HERE, "north"):
        for sequence, (sent_s, flows) in enumerate(((100.0, 0), (100.4, 16)), 1):
            message = replace(
                status(sequence, sent_s, near=flows), site=site, paths=(Path(HERE, 20, 0.02), Path(THERE, 20, 0.02))
            )
            hears(router, message, sent_s)
    router.on_timer(100.45)
    actions = router.on_timer(100.95)
    first, second = (
        {item.d_bid: item.share for item in message.shares}
        for message in sent(actions, "shares")
        if isinstance(message, Shares)
    )
    assert first[FAR] > first[NEAR]  # 16 flows of each are there already
    assert second[FAR] < first[FAR]  # who is reckoned for later sees what the other one is about to send


def test_an_ingress_that_began_anew_counts_from_zero_and_one_that_is_known_to_nobody_gave_nothing_yet() -> None:
    router = informed(controller(), 100.0)
    hears(router, status(900, 100.0, near=5000), 100.0)
    hears(router, status(901, 100.5, near=5001), 100.5)
    hears(router, status(1, 120.0, near=2), 120.0)  # later than a lifetime
    informed(router, 120.0, sequence=2)
    (near,) = (item.candidate for item in router.weighed(D_SID, 120.0) if item.candidate.d_bid == NEAR)
    assert near.unreported == 0  # three flows in all, and the report is later
    assert near.expected_sessions < 1


def test_a_controller_that_began_anew_listens_before_it_speaks() -> None:
    router = controller(control=replace(CENTRALIZED, settle_s=3.0))
    router.on_timer(100.0)
    hears(router, status(1, 100.1), 100.1)
    informed(router, 101.0)
    assert decided(router.on_timer(102.9)) == {}
    assert decided(router.on_timer(103.0)).keys() == {NEAR, FAR}


@pytest.mark.parametrize(
    ("message", "counter"),
    [
        (replace(status(2, 100.1), site="south"), "statuses_unknown_site"),
        (status(1, 100.1), "messages_overtaken"),
        (decision(1, 100.1, share(NEAR, WHOLE)), "messages_unexpected"),
        (decision(1, 100.1, share(NEAR, WHOLE), site=HERE), "messages_unexpected"),
    ],
)
def test_what_the_controller_does_not_believe_is_counted(message: codec.Message, counter: str) -> None:
    router = informed_controller()
    only(hears(router, message, 100.2), MetricsReceived)
    assert router.counters[counter] == 1


def test_what_a_controller_that_began_anew_says_is_news() -> None:
    former, latter = informed_controller(), controller()
    router = follower()
    for message in sent(former.on_timer(103.0), "shares"):
        hears(router, message, 103.0)
    informed(latter, 104.0, near=50)
    hears(latter, status(1, 104.0), 104.0)
    (message,) = sent(latter.on_timer(104.0), "shares")
    hears(router, message, 104.0)
    assert router.counters["messages_overtaken"] == 0
    assert set(chosen(router, 104.0)) == {FAR}


def test_an_ingress_that_fell_silent_is_told_nothing() -> None:
    router = informed_controller()
    assert decided(router.on_timer(110.0))
    assert decided(router.on_timer(110.6)) == {}
