"""What holds of arrival processes whatever their settings and seed."""

from __future__ import annotations

import math
import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from traffic.arrivals.processes import offsets

SEEDS = st.integers(0, 2**32)
RATES = st.floats(0.5, 200)
PERIODS = st.floats(0.1, 5)


@st.composite
def processes(draw: st.DrawFn) -> dict[str, object]:
    config: dict[str, object] = {
        "process": draw(st.sampled_from(["poisson", "constant", "on_off"])),
        "rate_per_s": draw(RATES),
        "start_s": draw(st.floats(0, 9)),
        "end_s": draw(st.floats(9.1, 20)),
    }
    if config["process"] == "on_off":
        config |= {"on_s": draw(PERIODS), "off_s": draw(PERIODS)}
    return config


@given(processes(), SEEDS)
def test_ascending_within_the_window_and_the_same_for_the_same_seed(config, seed):
    drawn = offsets(config, 20.0, random.Random(seed))
    assert drawn == sorted(drawn)
    assert all(config["start_s"] <= offset_s < config["end_s"] for offset_s in drawn)
    assert drawn == offsets(config, 20.0, random.Random(seed))


@given(st.floats(1, 100), SEEDS)
def test_poisson_rate_and_spread(rate_per_s, seed):
    duration_s = 2000 / rate_per_s
    drawn = offsets({"process": "poisson", "rate_per_s": rate_per_s}, duration_s, random.Random(seed))
    assert abs(len(drawn) - 2000) < 6 * math.sqrt(2000)
    gaps = [later - earlier for earlier, later in pairwise(drawn)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    # An exponential's coefficient of variation is 1; its estimate from n gaps is off by about 1/sqrt(n).
    assert abs(deviation / mean - 1) < 8 / math.sqrt(2000)


@given(st.floats(10, 50), st.floats(0.2, 2), st.floats(0.2, 2), SEEDS)
def test_on_off_mean_rate(rate_per_s, on_s, off_s, seed):
    cycles = 100
    duration_s = cycles * (on_s + off_s)
    config = {"process": "on_off", "rate_per_s": rate_per_s, "on_s": on_s, "off_s": off_s}
    drawn = offsets(config, duration_s, random.Random(seed))
    expected = rate_per_s * duration_s * on_s / (on_s + off_s)
    # The variance of a Poisson count, plus that of the time spent on, which has exponential on and off periods.
    on_time_variance = 2 * duration_s * (on_s * off_s) ** 2 / (on_s + off_s) ** 3
    assert abs(len(drawn) - expected) < 7 * math.sqrt(expected + rate_per_s**2 * on_time_variance)


@given(SEEDS)
def test_on_off_is_burstier_than_poisson(seed):
    config = {"process": "on_off", "rate_per_s": 50.0, "on_s": 2.0, "off_s": 2.0}
    drawn = offsets(config, 400.0, random.Random(seed))
    counts = [0] * 400
    for offset_s in drawn:
        counts[int(offset_s)] += 1
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance > 3 * mean  # a Poisson process has variance = mean
