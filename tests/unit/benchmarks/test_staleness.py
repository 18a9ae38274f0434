"""Flows steered by old metrics, in virtual time: same seed, same run; who herds, and who does not."""

from __future__ import annotations

from functools import cache
from statistics import mean

import pytest

from testbed.benchmarks.steering.staleness import dispersion, measure
from testbed.dyncast import policies
from testbed.simulation.network import FOUR_SITES, Served
from testbed.simulation.steered_queues import SteeredQueues
from tests.dyncast_samples import FAR, NEAR


def test_a_run_follows_from_its_seed() -> None:
    def served(seed: int) -> list[Served]:
        queues = SteeredQueues(FOUR_SITES, "dyncast", interval_s=1.0, seed=seed)
        queues.run(6.0)
        return queues.served

    assert served(1) == served(1) != served(2)


def test_two_policies_face_the_same_requests() -> None:
    arrivals = []
    for policy in ("closest", "power_of_two"):
        queues = SteeredQueues(FOUR_SITES, policy, interval_s=1.0, seed=1)
        queues.run(6.0)
        arrivals.append(sorted(flow.arrived_s for flow in queues.served if flow.arrived_s < 5.0))
    assert arrivals[0] == arrivals[1]
    assert len(arrivals[0]) > 300


@pytest.mark.parametrize("interval_s", [0.1, 5.0])
def test_dyncast_stays_good_when_metrics_grow_old(interval_s: float) -> None:
    ours = measure("dyncast", interval_s, seed=1, measured_s=20)
    assert ours.dispersion < 4
    for policy in ("weighted", "power_of_two", "least_loaded"):
        theirs = measure(policy, interval_s, seed=1, measured_s=20)
        assert ours.mean_ms < theirs.mean_ms
        assert ours.p95_ms < theirs.p95_ms


@cache
def _mean_ms(policy: str, seed: int) -> float:
    queues = SteeredQueues(FOUR_SITES, policy, interval_s=0.5, seed=seed)
    queues.run(21.0)
    return mean(flow.took_s * 1e3 for flow in queues.served if 5.0 <= flow.arrived_s < 20.0)


@pytest.mark.parametrize("policy", sorted({*policies.POLICIES} - {policies.ORACLE}))
def test_no_policy_beats_the_oracle(policy: str) -> None:
    """All face the same requests, and the nearest, `dyncast`, is 7 to 13 % behind, seed by seed."""
    for seed in (1, 2):
        assert _mean_ms(policies.ORACLE, seed) < _mean_ms(policy, seed)


def test_the_oracle_does_not_go_by_reports() -> None:
    """What one of the policies that do makes of reports five seconds old is a herd (below)."""
    assert measure(policies.ORACLE, 5.0, seed=1, measured_s=20).dispersion < 5


def test_least_loaded_herds_when_metrics_are_old() -> None:
    assert measure("least_loaded", 5.0, seed=1, measured_s=20).dispersion > 10


def test_dispersion_is_variance_over_mean_of_the_flows_per_window() -> None:
    turns = [Served(number / 10, (NEAR, FAR)[number % 2], 0.1) for number in range(100)]
    herds = [Served(number / 10, (NEAR, FAR)[number // 10 % 2], 0.1) for number in range(100)]
    assert dispersion(turns, 0.0, 10.0) == 0
    assert dispersion(herds, 0.0, 10.0) == 5  # 10 or 0 of them: mean 5, variance 25
