"""Measures of an even and a steady load, where the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testbed.analysis.dyncast.decisions.stability import dispersion, imbalance, oscillation


@pytest.mark.parametrize("instances", [2, 5, 10])
def test_all_the_load_at_one_instance(instances: int) -> None:
    loads = np.zeros((instances, 3))
    loads[0] = 1.0, 2.0, 30.0
    assert imbalance(loads) == pytest.approx([math.sqrt(instances - 1)] * 3)


def test_an_even_load_and_none() -> None:
    assert imbalance(np.array([[3.0], [3.0]])) == pytest.approx([0.0])
    assert np.isnan(imbalance(np.array([[0.0], [0.0]]))).all()


def test_who_is_away_does_not_count() -> None:
    assert imbalance(np.array([[2.0, 2.0], [2.0, 1.0], [np.nan, 0.0]])) == pytest.approx([0.0, math.sqrt(2 / 3)])


def test_the_swing_of_a_sine_is_its_amplitude() -> None:
    phase = np.linspace(0, 40 * np.pi, 4000)
    loads = np.array([5 + 2 * np.sin(phase), 5 - 2 * np.sin(phase)])
    assert oscillation(loads, np.array([1.0, 1.0])) == pytest.approx(2.0, rel=0.02)
    assert oscillation(loads / [[1.0], [3.0]], np.array([1.0, 3.0])) > 0


def test_what_all_have_or_one_always_has_more_of_is_no_swing() -> None:
    wave = np.sin(np.linspace(0, 20, 100))
    loads = np.array([3 + wave, 1 + wave])
    assert oscillation(loads, np.array([1.0, 4.0])) == pytest.approx(0.0, abs=1e-12)


def test_dispersion_of_turns_herds_and_nothing() -> None:
    times_s = np.arange(100) / 10
    turns = [number % 2 for number in range(100)]
    herds = [number // 10 % 2 for number in range(100)]
    assert dispersion(times_s, turns, 0.0, 10.0) == 0
    assert dispersion(times_s, herds, 0.0, 10.0) == 5  # 10 or 0 of them: mean 5, variance 25
    assert math.isnan(dispersion([], [], 0.0, 10.0))
    assert math.isnan(dispersion(times_s, turns, 20.0, 30.0))


def test_dispersion_counts_nothing_from_before() -> None:
    assert dispersion([-0.5, 0.5, 1.5], ["a", "a", "a"], 0.0, 2.0) == 0


def test_a_random_split_has_a_dispersion_of_one() -> None:
    rng = np.random.default_rng(1)
    times_s = np.sort(rng.uniform(0, 1000, 40_000))
    assert dispersion(times_s, rng.integers(0, 4, 40_000), 0.0, 1000.0) == pytest.approx(1.0, abs=0.1)
