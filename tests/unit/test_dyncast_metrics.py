"""Scores of the CATS metric levels."""

from __future__ import annotations

import math

import pytest

from testbed.dyncast.metrics import RawMetrics, compute_score, min_max, overall_score, service_score, sigmoid


@pytest.mark.parametrize(
    ("value", "worst", "best", "expected"),
    [(5, 0, 10, 0.5), (5, 10, 0, 0.5), (2, 10, 0, 0.8), (-3, 0, 10, 0.0), (30, 0, 10, 1.0), (7, 7, 7, 1.0)],
)
def test_min_max_is_linear_clamped_and_may_run_either_way(
    value: float, worst: float, best: float, expected: float
) -> None:
    assert min_max(value, worst, best) == pytest.approx(expected)


def test_sigmoid_is_half_at_its_midpoint_and_survives_extremes() -> None:
    assert sigmoid(30, midpoint=30, steepness=0.2) == 0.5
    assert sigmoid(40, midpoint=30, steepness=0.2) == pytest.approx(1 / (1 + math.exp(-2)))
    assert sigmoid(40, midpoint=30, steepness=-0.2) == pytest.approx(1 / (1 + math.exp(2)))
    assert sigmoid(1e300, 0, 1) == pytest.approx(1)
    assert sigmoid(-1e300, 0, 1) == pytest.approx(0)


@pytest.mark.parametrize(("utilisation", "score"), [(0.0, 10), (0.31, 7), (1.0, 0), (1.7, 0)])
def test_compute_score_is_the_idle_share(utilisation: float, score: int) -> None:
    assert compute_score(RawMetrics(4, utilisation=utilisation)) == score


@pytest.mark.parametrize(
    ("queue_length", "queue_limit", "busy", "score"), [(0, 50, 4, 10), (25, 50, 4, 5), (60, 50, 4, 0), (0, 0, 3, 10)]
)
def test_service_score_is_the_free_waiting_room(queue_length: int, queue_limit: int, busy: int, score: int) -> None:
    assert service_score(RawMetrics(4, busy, queue_length, queue_limit)) == score


def test_without_waiting_room_an_instance_that_is_busy_scores_nothing() -> None:
    assert service_score(RawMetrics(4, busy_workers=4, queue_limit=0)) == 0


def test_an_instance_is_as_good_as_its_scarcest_resource() -> None:
    idle_but_full = RawMetrics(4, queue_length=50, queue_limit=50, utilisation=0.0)
    busy_but_empty = RawMetrics(4, queue_limit=50, utilisation=0.9)
    assert overall_score(idle_but_full) == 0
    assert overall_score(busy_but_empty) == 1


@pytest.mark.parametrize(
    "figures",
    [
        {"workers": 0},
        {"workers": -1},
        {"workers": 1, "queue_length": -1},
        {"workers": 1, "sessions_started": -1},
        {"workers": 1, "utilisation": -0.1},
        {"workers": 1, "utilisation": math.nan},
        {"workers": 1, "service_time_s": math.inf},
    ],
)
def test_impossible_figures_are_refused(figures: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RawMetrics(**figures)  # type: ignore[arg-type]
