"""Service-time distributions: the means they are asked for, and the mistakes they name."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.agents.instance.service_time_config import DISTRIBUTION, read
from testbed.queueing.service_times import BoundedPareto
from testbed.runtime.config import ConfigError, parse

_MEANS_MS = st.floats(0.01, 1e4)


def mean_of(config: dict[str, object], draws: int = 20_000, seed: int = 1) -> float:
    distribution = read(config).distribution
    rng = Random(seed)
    return sum(distribution.draw_s(rng) for _ in range(draws)) / draws


@pytest.mark.parametrize(
    "shape",
    [
        {"distribution": "constant"},
        {"distribution": "exponential"},
        {"distribution": "lognormal", "sigma": 0.8},
        {"distribution": "bounded_pareto", "alpha": 1.0, "max_ms": 1000},
        {"distribution": "bounded_pareto", "alpha": 1.5, "max_ms": 1000},
        {"distribution": "bounded_pareto", "alpha": 3.0, "max_ms": 200},
    ],
)
def test_the_mean_of_draws_is_the_one_asked_for(shape: dict[str, object]) -> None:
    assert mean_of({**shape, "mean_ms": 50}) == pytest.approx(0.05, rel=0.05)


def test_every_registered_distribution_is_tested_here() -> None:
    assert set(DISTRIBUTION.kinds) == {"constant", "exponential", "lognormal", "bounded_pareto"}


@given(_MEANS_MS, st.floats(0.2, 5.0), st.floats(1.5, 1e4))
def test_the_quantiles_of_a_bounded_pareto_average_to_its_mean(mean_ms: float, alpha: float, ratio: float) -> None:
    """The mean is the integral of the quantile function; here by the rule of trapezoids in log(1 - u)."""
    distribution = BoundedPareto(mean_ms / 1e3, alpha, mean_ms / 1e3 * ratio)

    class _Fixed(Random):
        value = 0.0

        def random(self) -> float:
            return self.value

    fixed = _Fixed()
    steps = 4000
    edges = [1 - 10 ** (-12 * step / steps) for step in range(steps + 1)]
    quantiles = []
    for edge in edges:
        fixed.value = edge
        quantiles.append(distribution.draw_s(fixed))
    assert quantiles == sorted(quantiles)
    assert quantiles[0] == pytest.approx(distribution.min_s)
    assert max(quantiles) <= mean_ms / 1e3 * ratio
    mean_s = sum((edges[i + 1] - edges[i]) * (quantiles[i] + quantiles[i + 1]) / 2 for i in range(steps))
    assert mean_s == pytest.approx(mean_ms / 1e3, rel=0.01)


@given(st.sampled_from(sorted(DISTRIBUTION.kinds)), _MEANS_MS, st.integers())
def test_draws_are_positive_and_follow_the_seed(name: str, mean_ms: float, seed: int) -> None:
    extra = {"lognormal": {"sigma": 1.0}, "bounded_pareto": {"alpha": 1.2, "max_ms": mean_ms * 10}}.get(name, {})
    distribution = read({"distribution": name, "mean_ms": mean_ms, **extra}).distribution
    first, second = Random(seed), Random(seed)
    draws = [distribution.draw_s(first) for _ in range(5)]
    assert draws == [distribution.draw_s(second) for _ in range(5)]
    assert all(draw_s >= 0 for draw_s in draws)
    assert distribution.mean_s == pytest.approx(mean_ms / 1e3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"packet_time\.distribution is missing"),
        ({"distribution": "uniform"}, r"packet_time\.distribution must be one of constant, .*, not 'uniform'"),
        ({"distribution": 3}, r"packet_time\.distribution must be one of .*, not 3"),
        ({"distribution": "constant"}, r"packet_time\.mean_ms is missing"),
        ({"distribution": "constant", "mean_ms": "5"}, r"packet_time\.mean_ms must be a finite number, not '5'"),
        ({"distribution": "constant", "mean_ms": True}, r"packet_time\.mean_ms must be a finite number"),
        ({"distribution": "constant", "mean_ms": 0}, r"packet_time\.mean_ms must be > 0"),
        ({"distribution": "constant", "mean_ms": float("inf")}, r"packet_time\.mean_ms must be a finite number"),
        ({"distribution": "constant", "mean_ms": 1, "sigma": 2}, r"packet_time\.sigma is not a known key"),
        ({"distribution": "lognormal", "mean_ms": 1}, r"packet_time\.sigma is missing"),
        (
            {"distribution": "bounded_pareto", "mean_ms": 10, "alpha": 1.5, "max_ms": 10},
            r"packet_time cannot be used: no bounded Pareto distribution with alpha 1.5 and max_ms 10 has mean_ms 10",
        ),
    ],
)
def test_a_mistake_names_its_key(config: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        parse(config, DISTRIBUTION.read, "packet_time")
