"""Datapath affinity in the core: what the switch is told, when, and that it is not told the same twice."""

from __future__ import annotations

from testbed.dyncast.actions import InstallAffinity, InterceptService, RefusePacket, SetWeights, TerminateFlows
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.weighted_group import WeightedGroup
from tests.dyncast_samples import (
    D_SID,
    D_SID6,
    FAR,
    FAR6,
    HERE,
    NEAR,
    NEAR6,
    d_router,
    flow,
    informed,
    of_kind,
    only,
    report_bytes,
    service,
    told,
)

LIGHT = RawMetrics(4, queue_limit=50, service_time_s=0.1)


def in_datapath_mode(**changes: object) -> DRouter:
    return d_router(service(affinity_mode="datapath", policy="round_robin", **changes))


def hear(router: DRouter, sequence: int, near: RawMetrics | None, now_s: float) -> list[object]:
    return list(router.on_message(report_bytes(HERE, sequence, now_s, told(NEAR, near)), NEAR, now_s))


def test_a_switch_gets_no_intercept_and_nothing_before_an_instance_was_heard_of() -> None:
    router = in_datapath_mode()
    assert router.on_switch_connected(0.0) == []
    assert not of_kind(router.on_timer(1.0), SetWeights)  # an earlier D-Router's weights stay as they are


def test_a_report_moves_the_weights_of_its_d_sid_only() -> None:
    router = in_datapath_mode()
    spread = only(hear(router, 1, LIGHT, 0.0), SetWeights)
    assert (spread.d_sid, spread.members) == (D_SID, {NEAR})
    assert set(spread.shares) == {NEAR}
    informed(router, 1.0, sequence=2)
    shares = {item.d_sid: item for item in of_kind(router.on_switch_connected(1.0), SetWeights)}
    assert shares[D_SID].members == {NEAR, FAR}
    assert shares[D_SID6].members == {NEAR6, FAR6}
    assert shares[D_SID].shares[NEAR] == shares[D_SID].shares[FAR]


def test_the_same_weights_are_told_once_and_again_if_lost() -> None:
    router = in_datapath_mode()
    assert of_kind(hear(router, 1, LIGHT, 0.0), SetWeights)
    assert not of_kind(hear(router, 2, LIGHT, 0.1), SetWeights)
    assert not of_kind(router.on_timer(1.0), SetWeights)
    router.on_weights_failed(D_SID)
    assert of_kind(router.on_timer(2.0), SetWeights)


def test_an_instance_dies_by_its_second_report_and_loses_its_flows_once() -> None:
    router = in_datapath_mode()
    hear(router, 1, LIGHT, 0.0)
    first = hear(router, 2, None, 1.0)
    assert only(first, SetWeights).shares == {}
    assert only(first, SetWeights).members == {NEAR}  # its flows go on
    assert only(hear(router, 3, None, 2.0), TerminateFlows) == TerminateFlows(D_SID, NEAR)
    assert not of_kind(hear(router, 4, None, 3.0), TerminateFlows)
    assert only(hear(router, 5, LIGHT, 4.0), SetWeights).members == {NEAR}


def test_an_instance_that_is_silent_for_too_long_gets_no_new_flows_and_keeps_the_old() -> None:
    router = in_datapath_mode()
    hear(router, 1, LIGHT, 0.0)
    spread = only(router.on_timer(router.config.metric_lifetime_s + 1.0), SetWeights)
    assert (dict(spread.shares), spread.members) == ({}, {NEAR})


def test_the_weights_of_many_instances_move_after_a_pause() -> None:
    router = in_datapath_mode()
    many = [told(NEAR + number, LIGHT) for number in range(100)]
    packets = [many[start : start + 10] for start in range(0, 100, 10)]
    for sequence, some in enumerate(packets, 1):  # up to 64 move them at once
        moved = of_kind(router.on_message(report_bytes(HERE, sequence, 0.0, *some), NEAR, 0.0), SetWeights)
        assert bool(moved) == (sequence <= 6)
    assert not of_kind(router.on_timer(0.0), SetWeights)
    assert not of_kind(router.on_timer(0.004), SetWeights)
    assert len(only(router.on_timer(0.006), SetWeights).members) == 100
    assert not of_kind(router.on_timer(0.008), SetWeights)  # nobody waits


def test_flows_that_the_switch_gave_count_as_given() -> None:
    router = d_router(service(affinity_mode="datapath"))
    informed(router, 0.0)
    even = of_kind(router.on_switch_connected(0.0), SetWeights)[0].shares
    router.on_flows_assigned(D_SID, NEAR, 40, 0.1)
    shifted = next(item for item in of_kind(router.on_timer(0.5), SetWeights) if item.d_sid == D_SID).shares
    assert shifted[FAR] > even[FAR]
    assert router.counters["flows_given"] == 40
    router.on_flows_assigned(D_SID, NEAR, 3, 0.6)  # the switch counts from zero again
    assert router.counters["flows_given"] == 43


def test_where_the_switch_cannot_the_d_router_binds_flows_itself() -> None:
    router = in_datapath_mode()
    hear(router, 1, LIGHT, 0.0)
    assert {item.d_sid for item in of_kind(router.on_datapath_mode_refused("render"), InterceptService)} == {
        D_SID,
        D_SID6,
    }
    assert of_kind(router.on_packet(flow(), 0.1), InstallAffinity)
    assert not of_kind(router.on_timer(1.0), SetWeights)
    assert {item.d_sid for item in of_kind(router.on_switch_connected(1.0), InterceptService)} == {D_SID, D_SID6}


def test_a_reactive_packet_without_an_instance_is_refused() -> None:
    router = d_router()
    assert only(router.on_packet(flow(), 0.0), RefusePacket) == RefusePacket("no_instance")
    assert router.counters["refused_no_instance"] == 1


def test_a_weighted_group_forgets_the_count_of_a_member_that_left() -> None:
    group = WeightedGroup(D_SID)
    group.add(NEAR)
    assert group.newly_assigned(NEAR, 5) == 5
    assert group.remove(NEAR)
    assert not group.remove(NEAR)
    assert group.newly_assigned(NEAR, 2) == 2
