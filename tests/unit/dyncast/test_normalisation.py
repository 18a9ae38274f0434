"""Scores of the CATS metric levels: normalisation and aggregation."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.metrics.levels import RawMetrics, Scores
from testbed.dyncast.metrics.normalisation import (
    AGGREGATIONS,
    DEFAULT,
    MinMax,
    Normalisation,
    Sigmoid,
    min_max,
    sigmoid,
)


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


@pytest.mark.parametrize(("utilisation", "score"), [(0.0, 10), (0.31, 7), (1.0, 0)])
def test_compute_score_is_the_idle_share(utilisation: float, score: int) -> None:
    assert DEFAULT.scores(RawMetrics(4, utilisation=utilisation)).computing == score


@pytest.mark.parametrize(
    ("queue_length", "queue_limit", "busy", "score"), [(0, 50, 4, 10), (25, 50, 4, 5), (60, 50, 4, 0), (0, 0, 3, 10)]
)
def test_service_score_is_the_free_waiting_room(queue_length: int, queue_limit: int, busy: int, score: int) -> None:
    assert DEFAULT.scores(RawMetrics(4, busy, queue_length, queue_limit)).service == score


def test_without_waiting_room_an_instance_that_is_busy_scores_nothing() -> None:
    assert DEFAULT.scores(RawMetrics(4, busy_workers=4, queue_limit=0)).service == 0


def test_an_instance_is_as_good_as_its_scarcest_resource() -> None:
    idle_but_full = RawMetrics(4, queue_length=50, queue_limit=50, utilisation=0.0)
    busy_but_empty = RawMetrics(4, queue_limit=50, utilisation=0.9)
    assert DEFAULT.scores(idle_but_full).overall == 0
    assert DEFAULT.scores(busy_but_empty).overall == 1


_BUSY = MinMax("utilisation", worst=1, best=0)
_MEMORY = Sigmoid("memory_utilisation", midpoint=0.8, steepness=-20, weight=3)
_ROOM = MinMax("free_room", worst=0, best=1)
_TRAFFIC = MinMax("throughput_bps", worst=1e7, best=0)
_RAW = RawMetrics(
    4, queue_length=10, queue_limit=50, utilisation=0.4, memory_bytes=8, memory_limit_bytes=10, throughput_bps=1e6
)


@pytest.mark.parametrize(
    ("l1", "l2", "weights", "expected"),
    [
        ("min", "min", {}, Scores(5, 9, 8, 5)),
        ("max", "max", {}, Scores(6, 9, 8, 9)),
        ("mean", "mean", {}, Scores(6, 9, 8, 8)),  # computing: 10 x (0.6 + 0.5) / 2, overall: (6 + 9 + 8) / 3
        ("weighted_mean", "weighted_mean", {"computing": 8}, Scores(5, 9, 8, 6)),  # (8 x 5 + 9 + 8) / 10
    ],
)
def test_figures_are_put_together_by_category_and_categories_to_one_score(
    l1: str, l2: str, weights: dict[str, float], expected: Scores
) -> None:
    scored_by = Normalisation((_BUSY, _MEMORY), (_TRAFFIC,), (_ROOM,), l1, l2, weights)
    assert scored_by.scores(_RAW) == expected


def test_a_category_without_figures_has_no_score_and_no_say() -> None:
    scored_by = Normalisation(computing=(), communication=(_TRAFFIC,), service=(), weights={"computing": 100})
    assert scored_by.scores(_RAW) == Scores(communication=9, overall=9)


_SHARE = st.floats(0, 1)
_FIGURE = st.builds(
    MinMax, st.sampled_from(("utilisation", "cpu_utilisation")), st.just(1.0), st.just(0.0)
) | st.builds(
    Sigmoid, st.sampled_from(("utilisation", "cpu_utilisation")), _SHARE, st.floats(-50, -1), st.floats(0.1, 10)
)
_FIGURES = st.lists(_FIGURE, min_size=1, max_size=3).map(tuple)
_AGGREGATION = st.sampled_from(sorted(AGGREGATIONS))


@given(st.builds(Normalisation, _FIGURES, _FIGURES, _FIGURES, _AGGREGATION, _AGGREGATION), _SHARE, _SHARE, _SHARE)
def test_scores_are_octets_up_to_ten_and_more_load_is_never_better(
    scored_by: Normalisation, cpu: float, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    better = scored_by.scores(RawMetrics(1, utilisation=less, cpu_utilisation=cpu))
    worse = scored_by.scores(RawMetrics(1, utilisation=more, cpu_utilisation=cpu))
    for good, bad in zip(better, worse, strict=True):
        assert good is not None
        assert bad is not None
        assert 0 <= bad <= good <= 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MinMax("utilization", 1, 0), "metric 'utilization' does not exist; there are: workers"),
        (lambda: MinMax("utilisation", 1, 1), "worst and best must be finite and differ, not 1 and 1"),
        (lambda: MinMax("utilisation", math.inf, 1), "worst and best must be finite"),
        (lambda: MinMax("utilisation", 1, 0, weight=0), "weight must be > 0 and finite, not 0"),
        (lambda: Sigmoid("utilisation", 0.5, 0), "steepness not 0"),
        (lambda: Normalisation((), (), ()), "no category has a figure"),
        (lambda: Normalisation(l2_aggregation="median"), "aggregation 'median' does not exist; there are: min, max"),
        (lambda: Normalisation(weights={"cpu": 1}), "category 'cpu' does not exist; there are: computing"),
        (lambda: Normalisation(weights={"computing": -1}), "weights.computing must be > 0 and finite, not -1"),
    ],
)
def test_what_makes_no_score_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
