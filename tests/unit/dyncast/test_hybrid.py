"""The hybrid mode: slow-moving metrics told to all and volatile ones of the controller meet at the ingress."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.control.role import Control
from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import WHOLE, Load, Loads, Share, Shares
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.net.addresses import Address
from tests.control_samples import INGRESS, RAW, hears, sent
from tests.dyncast_samples import (
    D_SID,
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    flow,
    of_kind,
    only,
    report_bytes,
    service,
    told,
)

HYBRID = Control("hybrid", THERE, interval_s=0.5, lifetime_s=5.0)


def slow(site: str, sequence: int, now_s: float, d_bid: Address, raw: RawMetrics = RAW) -> bytes:
    return codec.encode(Report(site, sequence, now_s, (told(d_bid, raw),)), wire_fields.SLOW)


def load(d_bid: Address, sessions: int, measured_s: float) -> Load:
    return Load(D_SID, d_bid, measured_s, RawMetrics(4, busy_workers=min(4, sessions), sessions=sessions))


def hybrid_ingress() -> DRouter:
    router = d_router(service(policy="least_loaded"), control=HYBRID)
    router.on_message(slow(HERE, 1, 100.0, NEAR), NEAR, 100.0)
    router.on_message(slow(THERE, 1, 100.0, FAR), FAR, 100.0)
    return router


def test_loads_of_unknown_services_are_not_handed_out() -> None:
    router = d_router(control=HYBRID, site=THERE, peers=(INGRESS,))
    router.on_timer(99.9)
    unknown = replace(load(NEAR, 3, 100.0), d_sid=D_SID + 1)
    hears(router, Loads(HERE, 1, 100.0, (unknown,), by_agent=True), 100.0)
    assert sent(router.on_timer(101.0), "loads") == []
    assert router.counters["loads_not_kept"] == 1


def test_slow_metrics_have_no_sessions_in_them_and_are_passed_on_to_all() -> None:
    router = d_router(control=HYBRID)
    data = slow(HERE, 1, 100.0, NEAR, replace(RAW, sessions=7, queue_length=3, utilisation=0.7))
    actions = router.on_message(data, NEAR, 100.0)
    assert of_kind(actions, SendMessage) == [SendMessage(PEER.address, data, "report", is_deferrable=True)]
    binding = router.bindings.get(D_SID, NEAR)
    assert binding is not None
    assert binding.raw == RAW
    assert binding.scores.overall == 3  # which had them in it
    assert len(data) < len(report_bytes(HERE, 1, 100.0, told(NEAR, RAW)))


def test_the_controller_hands_out_what_agents_told_it_in_one_message_to_each_ingress() -> None:
    router = d_router(control=HYBRID, site=THERE, peers=(INGRESS, Peer("north", PEER.address + 1, 5.0)))
    router.on_timer(99.9)
    of_agents = [
        Loads(HERE, 1, 100.0, (load(NEAR, 3, 100.0),), by_agent=True),
        Loads(THERE, 1, 100.2, (load(FAR, 5, 100.2),), by_agent=True),
    ]
    assert [of_kind(hears(router, message, 100.2), SendMessage) for message in of_agents] == [[], []]
    assert sent(router.on_timer(100.3), "loads") == []
    actions = router.on_timer(100.4)
    assert [action.to for action in of_kind(actions, SendMessage) if action.kind == "loads"] == [
        INGRESS.address,
        PEER.address + 1,
    ]
    for message in sent(actions, "loads"):
        assert isinstance(message, Loads)
        assert [(item.d_bid, item.raw.sessions) for item in message.loads] == [(NEAR, 3), (FAR, 5)]
        assert [item.measured_s for item in message.loads] == pytest.approx([100.0, 100.2])


def test_both_paces_meet_at_the_ingress_which_decides() -> None:
    router = hybrid_ingress()
    hears(router, Loads(THERE, 1, 101.0, (load(NEAR, 6, 100.5), load(FAR, 2, 100.75))), 101.0)
    made = only(router.on_packet(flow(), 101.25), Decided)
    assert (made.d_bid, made.metrics_age_s) == (FAR, pytest.approx(0.5))
    metrics = {item.candidate.d_bid: item.candidate.metrics for item in made.weighed}
    assert metrics[FAR] == replace(RAW, busy_workers=2, sessions=2)
    router.on_message(slow(THERE, 2, 101.5, FAR, replace(RAW, workers=8)), FAR, 101.5)  # does not undo it
    made = only(router.on_packet(flow(2), 101.5), Decided)
    assert made.d_bid == FAR
    assert made.weighed[0].candidate.metrics == replace(RAW, workers=8, busy_workers=2, sessions=2)


def test_loads_that_are_no_newer_change_nothing_and_keep_what_is_known_alive() -> None:
    router = hybrid_ingress()
    first = Loads(THERE, 1, 101.0, (load(NEAR, 6, 100.5),))
    assert len(of_kind(hears(router, first, 101.0), MetricsReceived)) == 1
    assert hears(router, replace(first, sequence=2, sent_s=104.0), 104.0) == []
    hears(router, Loads(THERE, 3, 104.0, (load(NEAR, 1, 99.0),)), 104.0)
    router.on_timer(108.0)
    assert router.counters["loads_expired"] == 0
    binding = router.bindings.get(D_SID, NEAR)
    assert binding is not None and binding.raw is not None
    assert (binding.raw.sessions, binding.measured_s) == (6, pytest.approx(100.5))


def test_that_an_instance_is_up_or_down_reports_say_and_loads_do_not() -> None:
    router = hybrid_ingress()
    hears(router, Loads(THERE, 1, 101.0, (load(NEAR, 6, 100.5),)), 101.0)
    router.on_packet(flow(), 101.0)
    router.on_packet(flow(2), 101.0)
    bound = len(router.affinity)
    router.on_message(report_bytes(HERE, 2, 101.5, told(NEAR, None)), NEAR, 101.5)
    for sequence, measured_s in enumerate((101.2, 101.4), 2):  # on their way when it died
        hears(router, Loads(THERE, sequence, 101.6, (load(NEAR, 6, measured_s),)), 101.6)
    assert only(router.on_packet(flow(3), 101.7), Decided).d_bid == FAR
    assert len(router.affinity) == bound + 1  # one report of its death is not enough to end flows
    router.on_message(slow(HERE, 3, 102.0, NEAR), NEAR, 102.0)
    hears(router, Loads(THERE, 4, 102.5, (load(NEAR, 1, 102.2),)), 102.5)
    binding = router.bindings.get(D_SID, NEAR)
    assert binding is not None and binding.raw is not None
    assert binding.raw.sessions == 1


def test_without_word_from_the_controller_decisions_go_on_by_the_slow_metrics() -> None:
    router = hybrid_ingress()
    hears(router, Loads(THERE, 1, 101.0, (load(NEAR, 6, 101.0), load(FAR, 2, 101.0))), 101.0)
    for sequence, now_s in enumerate((103.0, 106.0), 2):
        router.on_message(slow(HERE, sequence, now_s, NEAR), NEAR, now_s)
        router.on_message(slow(THERE, sequence, now_s, FAR), FAR, now_s)
        router.on_timer(now_s)
    router.on_timer(106.6)
    assert router.counters["loads_expired"] == 2
    made = only(router.on_packet(flow(), 107.0), Decided)
    assert made.metrics_age_s == pytest.approx(1.0)
    assert {item.candidate.metrics for item in made.weighed} == {RAW}


@pytest.mark.parametrize(
    "message",
    [
        Loads("north", 1, 101.0, (load(NEAR, 9, 101.0),)),
        Loads(HERE, 1, 101.0, (load(NEAR, 9, 101.0),), by_agent=True),
        Shares(THERE, 1, 101.0, (Share(D_SID, NEAR, HERE, State.UP, WHOLE, 101.0),)),
    ],
)
def test_an_ingress_believes_the_controller_s_loads_only(message: codec.Message) -> None:
    router = hybrid_ingress()
    hears(router, message, 101.0)
    assert router.counters["messages_unexpected"] == 1
    binding = router.bindings.get(D_SID, NEAR)
    assert binding is not None
    assert binding.raw == RAW


def test_an_agent_tells_loads_of_its_own_site_only() -> None:
    peer = replace(INGRESS, prefixes=(ip_network(f"{NEAR}/32"),))
    router = d_router(control=HYBRID, site=THERE, peers=(peer,))
    hears(router, Loads(HERE, 1, 100.0, (load(FAR, 3, 100.0),), by_agent=True), 100.0)
    assert router.counters["reports_foreign_d_bid"] == 1
    hears(router, Loads("nowhere", 1, 100.0, (load(FAR, 3, 100.0),), by_agent=True), 100.0)
    assert router.counters["reports_unknown_site"] == 1
