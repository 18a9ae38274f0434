"""The same load, network and delays under each mode of control, in virtual time: who is told what, how it steers."""

from __future__ import annotations

from functools import cache
from statistics import mean

import pytest

from testbed.dyncast.control.role import Control
from testbed.simulation.controlled_queues import ControlledQueues
from testbed.simulation.network import FOUR_SITES

CONTROLLER = "west"
MODES = {
    "distributed": Control(),
    "centralized": Control("centralized", CONTROLLER, interval_s=0.25, lifetime_s=5.0),
    "hybrid": Control("hybrid", CONTROLLER, interval_s=0.25, lifetime_s=5.0),
}
INGRESSES = {"east", "north", "south"}
UNTIL_S = 24.0


@cache
def run(mode: str, silent_at_s: float = 1e9) -> ControlledQueues:
    queues = ControlledQueues(FOUR_SITES, "dyncast", 1.0, seed=1, control=MODES[mode], silent_at_s=silent_at_s)
    queues.run(UNTIL_S + 1.0)
    return queues


def mean_ms(queues: ControlledQueues, from_s: float = 10.0) -> float:
    return mean(flow.took_s * 1e3 for flow in queues.served if from_s <= flow.arrived_s < UNTIL_S)


def refused(queues: ControlledQueues) -> int:
    return sum(router.counters["refused_no_instance"] for router in queues.routers.values())


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_serves_the_load_by_load_and_path(mode: str) -> None:
    """A mean of 100 ms is work; with all metrics known at once and to all, 180 ms come out."""
    queues = run(mode)
    assert mean_ms(queues) < 260
    assert refused(queues) == 0


def test_the_modes_face_the_same_requests() -> None:
    arrivals = [sorted(flow.arrived_s for flow in run(mode).served if flow.arrived_s < 20.0) for mode in MODES]
    assert arrivals[0] == arrivals[1] == arrivals[2]
    assert len(arrivals[0]) > 2000


def test_reports_go_to_all_to_the_controller_alone_or_at_the_slow_pace() -> None:
    sent = {mode: run(mode).sent for mode in MODES}
    everybody = {*INGRESSES, CONTROLLER}
    assert {to for kind, to in sent["distributed"] if kind == "report"} == everybody
    assert {kind for kind, _ in sent["distributed"]} == {"report", "probe", "probe_reply"}
    assert {kind for kind, _ in sent["centralized"]} == {"ingress_status", "shares", "probe", "probe_reply"}
    assert {to for kind, to in sent["centralized"] if kind == "shares"} == INGRESSES
    assert {to for kind, to in sent["centralized"] if kind == "ingress_status"} == {CONTROLLER}
    assert {to for kind, to in sent["hybrid"] if kind == "loads"} == INGRESSES
    slow, fast = (
        sum(count for (kind, _), count in sent[mode].items() if kind == "report") for mode in ("hybrid", "distributed")
    )
    assert slow < fast / 3


def test_the_controller_s_shares_follow_the_load_of_others_too() -> None:
    """Two workers at each ingress' own site and eight at the controller's: nobody may keep to its own."""
    queues = run("centralized")
    given = {site: router.counters["decisions"] for site, router in queues.routers.items()}
    assert min(given[site] for site in INGRESSES) > 800
    by_instance = {
        site: sum(flow.d_bid == queues.d_bid_at(site) for flow in queues.served) / len(queues.served)
        for site in FOUR_SITES.workers
    }
    assert by_instance["west"] > by_instance["south"] > by_instance["north"] > by_instance["east"] > 0.05


@pytest.mark.parametrize("mode", ["centralized", "hybrid"])
def test_when_the_controller_falls_silent_ingresses_go_on(mode: str) -> None:
    """By the last shares for a lifetime, and then not; or by the slow metrics for as long as need be."""
    queues = run(mode, silent_at_s=12.0)
    took = [flow for flow in queues.served if 12.5 <= flow.arrived_s < 16.5]
    assert len(took) > 400
    assert mean(flow.took_s for flow in took) < 2.0
    later = sum(flow.arrived_s >= 18.0 for flow in queues.served)
    counters = [queues.routers[site].counters for site in INGRESSES]
    if mode == "hybrid":
        assert refused(queues) == 0
        assert later > 700
        assert all(of_ingress["loads_expired"] >= 3 for of_ingress in counters)
    else:
        assert refused(queues) > 700
        assert later == 0
        assert all(of_ingress["controller_lost"] == 1 for of_ingress in counters)
