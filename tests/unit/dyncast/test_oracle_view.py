"""The policy `oracle`: it goes by what instances are like and who is under way, not by what was reported."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from testbed.dyncast.events import Decided
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig
from testbed.net.addresses import Address
from tests.dyncast_samples import FAR, HERE, NEAR, PEER, States, d_router, flow, informed, only, service, told
from tests.dyncast_samples import report_bytes as report

ORACLE = service(policy="oracle")


def like(sessions: int, workers: int = 4) -> RawMetrics:
    waiting = max(0, sessions - workers)
    return RawMetrics(workers, sessions - waiting, waiting, 50, sessions, sessions, 1.0, 0.1)


def seen(states: States, near: int, far: int) -> States:
    states.raws = {NEAR: like(near), FAR: like(far)}
    return states


def chosen(router: DRouter, src_port: int, now_s: float = 1.0) -> Address:
    return only(router.on_packet(flow(src_port), now_s), Decided).d_bid


def test_it_cannot_decide_blindly() -> None:
    with pytest.raises(ValueError, match="the policy oracle needs the true states"):
        DRouter(DRouterConfig(HERE, (ORACLE,)), Random(1))


def test_it_goes_by_the_truth_whatever_was_reported() -> None:
    states = seen(States(), near=12, far=0)
    router = informed(d_router(ORACLE, true_states=states), near=0, far=30)
    assert chosen(router, 1) == FAR


def test_it_sees_a_change_at_the_very_next_flow() -> None:
    states = seen(States(), near=0, far=0)
    router = informed(d_router(ORACLE, true_states=states))
    assert chosen(router, 1) == NEAR
    seen(states, near=12, far=0)
    assert chosen(router, 2) == FAR


def test_a_decision_says_that_its_figures_are_of_now() -> None:
    states = seen(States(), near=2, far=0)
    decided = only(informed(d_router(ORACLE, true_states=states)).on_packet(flow(), 5.0), Decided)
    (near,) = (item.candidate for item in decided.weighed if item.candidate.d_bid == NEAR)
    assert decided.metrics_age_s == 0
    assert (near.metrics, near.expected_sessions, near.sessions_variance) == (like(2), 2.0, 0.0)


def test_flows_of_all_ingresses_that_are_under_way_count() -> None:
    states = seen(States(), near=0, far=0)
    for _ in range(12):
        states.send(NEAR, arrives_s=1.5)  # another ingress sent them
    router = informed(d_router(ORACLE, true_states=states))
    assert chosen(router, 1, now_s=1.0) == FAR
    assert chosen(router, 2, now_s=2.0) == NEAR  # by now they are there, and in its sessions


def test_it_tells_the_others_when_its_flows_will_arrive() -> None:
    states = seen(States(), near=30, far=0)
    router = informed(d_router(ORACLE, true_states=states))
    assert chosen(router, 1, now_s=1.0) == FAR
    (arrives_s,) = states.arrivals_s[FAR]
    assert arrives_s == pytest.approx(1.0 + 1.5 * PEER.path_cost_ms / 1e3)  # the handshake, and the request


def test_an_instance_that_shows_nothing_is_taken_as_reported() -> None:
    router = informed(d_router(ORACLE, true_states=States()), near=30, far=0)
    assert chosen(router, 1) == FAR


def test_who_is_down_or_was_never_heard_of_gets_nothing() -> None:
    stranger = ip_address("10.1.0.99")
    states = seen(States(), near=0, far=30)
    states.raws[stranger] = like(0)
    router = informed(d_router(ORACLE, true_states=states))
    router.on_message(report(HERE, 2, 0.5, told(NEAR, None)), NEAR, 0.5)
    assert chosen(router, 1) == FAR
