"""Policies that steer the same requests in virtual time, evaluated by the files that such a run would leave."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from testbed.analysis.dyncast.decisions.evaluation import Evaluation, evaluate
from testbed.analysis.run_data.loading import load
from testbed.benchmarks.steering.staleness import dispersion
from testbed.dyncast.selection.session_model import SessionModel
from testbed.simulation.network import FOUR_SITES
from testbed.simulation.steered_queues import SteeredQueues
from tests.queue_runs import write_queue_run

_UNTIL_S = 15.0


@cache
def _queues(policy: str, seed: int) -> SteeredQueues:
    queues = SteeredQueues(FOUR_SITES, policy, interval_s=1.0, seed=seed)
    queues.run(_UNTIL_S + 1.0)  # by then the last requests have come to an instance
    return queues


def _evaluated(tmp_path: Path, policy: str, seed: int) -> Evaluation:
    folder = write_queue_run(tmp_path / f"{policy} {seed}", _queues(policy, seed), policy, 0.0, _UNTIL_S)
    return evaluate(load(folder))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_oracle_regrets_little_dyncast_more_and_closest_most(tmp_path: Path, seed: int) -> None:
    oracle, ours, closest = (
        _evaluated(tmp_path, policy, seed).regret.iloc[0] for policy in ("oracle", "dyncast", "closest")
    )
    assert oracle["decisions"] > 1800
    assert oracle["regret_mean_ms"] < ours["regret_mean_ms"] / 2 < closest["regret_mean_ms"] / 20
    assert oracle["best_percent"] > ours["best_percent"] > closest["best_percent"]
    # What is left to the oracle is noise: it learns service times, and how much of a worker a request takes.
    assert oracle["regret_p50_ms"] < 1.0


class _EqualWork(SteeredQueues):
    def _steer(self, ingress: str, number: int, work_s: float, now_s: float) -> None:
        del work_s
        super()._steer(ingress, number, self.network.mean_work_s, now_s)


def test_an_oracle_that_knows_what_requests_take_regrets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionModel, "load_per_session", lambda *_: 1.0)
    queues = _EqualWork(FOUR_SITES, "oracle", interval_s=1.0, seed=1)
    queues.run(_UNTIL_S + 1.0)
    regret = evaluate(load(write_queue_run(tmp_path / "run", queues, "oracle", 0.0, _UNTIL_S))).regret.iloc[0]
    assert regret["decisions"] > 1800
    assert regret["best_percent"] == 100
    assert regret["regret_mean_ms"] == pytest.approx(0.0, abs=1e-6)


def test_dispersion_is_that_of_the_benchmark(tmp_path: Path) -> None:
    evaluated = _evaluated(tmp_path, "least_loaded", 1)
    (index,) = evaluated.stability["dispersion"]
    assert index == pytest.approx(dispersion(_queues("least_loaded", 1).served, 0.0, _UNTIL_S), rel=1e-6)


def test_who_herds_swings(tmp_path: Path) -> None:
    steady, herding = (_evaluated(tmp_path, policy, 1).stability.iloc[0] for policy in ("dyncast", "least_loaded"))
    assert herding["swing"] > 2 * steady["swing"]
    assert herding["imbalance_mean"] > 1.5 * steady["imbalance_mean"]
    assert herding["dispersion"] > 2 * steady["dispersion"]
