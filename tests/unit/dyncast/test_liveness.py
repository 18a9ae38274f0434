"""What a D-Router notices without being told: dead paths, stale bindings; and where new flows go then."""

from __future__ import annotations

from testbed.dyncast.actions import Action, RefusePacket, RemoveAffinity, SendMessage, SetWeights
from testbed.dyncast.events import Decided, Noticed
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.path_state import MOST_UNANSWERED, PathState
from testbed.dyncast.nodes.d_router import DRouter
from tests.dyncast_samples import (
    CLIENT,
    D_SID,
    FAR,
    HERE,
    NEAR,
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


def _pass_time(router: DRouter, from_s: int, to_s: int, *, answered: bool) -> list[Action]:
    """Tick each second, a probe each; the peer answers them 10 ms later, or never."""
    actions: list[Action] = []
    for now_s in range(from_s, to_s):
        found = router.on_timer(float(now_s))
        actions += found
        for message in of_kind(found, SendMessage):
            probe = codec.decode(message.data)
            assert isinstance(probe, Probe)
            if answered:
                reply = Probe(THERE, probe.sequence, probe.sent_s, is_reply=True)
                actions += router.on_message(codec.encode(reply), PEER.address, now_s + 0.01)
    return actions


def _far_only(router: DRouter, now_s: float = 0.0, sequence: int = 1) -> DRouter:
    router.on_message(report_bytes(THERE, sequence, now_s, told(FAR, _RAW)), PEER.address, now_s)
    return router


def test_a_path_is_lost_after_some_probes_without_answer_and_back_with_the_next_one() -> None:
    path = PathState(THERE, 20.0)
    path.on_reply(0.01, 0.0)
    for _ in range(MOST_UNANSWERED):
        path.on_probe_sent()
    assert path.is_reachable  # the last of them may still be answered
    path.on_probe_sent()
    assert not path.is_reachable
    path.on_reply(0.01, 5.0)
    assert path.is_reachable


def test_new_flows_avoid_a_site_that_answers_no_probes_though_its_metrics_live() -> None:
    router = informed(d_router(metric_lifetime_s=100), near=4, far=0)
    _pass_time(router, 0, 3, answered=True)
    assert only(router.on_packet(flow(1), 3.0), Decided).d_bid == FAR
    lost = _pass_time(router, 3, 9, answered=False)
    assert [(item.event, item.site) for item in of_kind(lost, Noticed)] == [("path_lost", THERE)]
    assert only(lost, Noticed).time_s == 3 + MOST_UNANSWERED
    assert {only(router.on_packet(flow(port), 9.0), Decided).d_bid for port in range(2, 30)} == {NEAR}

    back = _pass_time(router, 9, 13, answered=True)
    assert [(item.event, item.site) for item in of_kind(back, Noticed)] == [("path_back", THERE)]
    assert FAR in {only(router.on_packet(flow(port), 13.0), Decided).d_bid for port in range(30, 60)}


def test_without_any_other_instance_new_flows_are_refused() -> None:
    router = _far_only(d_router(metric_lifetime_s=100))
    _pass_time(router, 0, 2, answered=True)
    _pass_time(router, 2, 8, answered=False)
    only(router.on_packet(flow(), 8.0), RefusePacket)


def test_a_site_that_never_answered_is_believed_as_long_as_its_reports_come() -> None:
    router = _far_only(d_router(metric_lifetime_s=100))
    assert not of_kind(_pass_time(router, 0, 50, answered=False), Noticed)
    assert only(router.on_packet(flow(), 50.0), Decided).d_bid == FAR


def test_flows_bound_to_a_lost_site_stay_bound_and_are_counted() -> None:
    router = _far_only(d_router(metric_lifetime_s=100))
    bound = [only(router.on_packet(flow(port), 0.0), Decided) for port in range(1, 4)]
    router.on_message(report_bytes(HERE, 1, 0.0, told(NEAR, _RAW)), CLIENT, 0.0)
    _pass_time(router, 0, 2, answered=True)
    actions = _pass_time(router, 2, 8, answered=False)
    assert not of_kind(actions, RemoveAffinity)
    assert router.counters["flows_cut_off"] == len(bound)
    assert {entry.d_bid for entry in router.affinity} == {FAR}


def test_the_switch_gives_a_lost_site_no_share_but_keeps_its_flows() -> None:
    router = informed(d_router(service(affinity_mode="datapath"), metric_lifetime_s=100))
    _pass_time(router, 0, 3, answered=True)
    lost = [item for item in of_kind(_pass_time(router, 3, 9, answered=False), SetWeights) if item.d_sid == D_SID]
    assert set(lost[-1].shares) == {NEAR}
    assert lost[-1].members == {NEAR, FAR}


def test_a_binding_that_nobody_refreshes_is_noticed_once_each_time() -> None:
    router = _far_only(d_router(metric_lifetime_s=3))
    first = _pass_time(router, 0, 8, answered=True)
    expired = [item for item in of_kind(first, Noticed) if item.event == "expired"]
    assert [(item.time_s, item.site, item.d_sid, item.d_bid) for item in expired] == [(4.0, THERE, D_SID, FAR)]
    _far_only(router, 8.0, sequence=2)
    again = _pass_time(router, 8, 16, answered=True)
    assert [item.time_s for item in of_kind(again, Noticed)] == [12.0]
    assert router.counters["expired"] == 2
