"""Whatever the runs of a study are: means, intervals and paired differences are those of the textbook."""

from __future__ import annotations

from math import isnan, sqrt
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from testbed.analysis.study.study_figures import compare
from testbed.analysis.theory.confidence import half_width
from tests.study_runs import figures_of

VALUES = st.floats(0.1, 1e4)
SEEDS = st.dictionaries(st.integers(0, 9), VALUES, min_size=1, max_size=8)


@given(st.lists(VALUES, min_size=2, max_size=30))
def test_half_widths_are_scipy_s(values: list[float]) -> None:
    assert half_width(values) == pytest.approx(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values), abs=1e-9)


@given(st.dictionaries(st.integers(1, 3), st.fixed_dictionaries({"closest": SEEDS, "dyncast": SEEDS}), min_size=1))
def test_pairing_by_seed_is_the_plain_formula(by_case: dict[int, dict[str, dict[int, float]]]) -> None:
    comparison = compare(figures_of(by_case)).set_index(["load", "policy"])
    assert len(comparison) == 2 * len(by_case)
    for load, policies in by_case.items():
        ours, theirs = policies["dyncast"], policies["closest"]
        found = comparison.loc[(load, "dyncast")]
        differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        assert found["pairs"] == len(differences)
        assert found["unpaired_seeds"].split() == [str(seed) for seed in sorted(ours.keys() ^ theirs.keys())]
        assert found["mean"] == pytest.approx(mean(ours.values()))
        if not differences:
            assert isnan(found["difference"])
            continue
        assert found["difference"] == pytest.approx(mean(differences), abs=1e-9)
        base = mean(theirs[seed] for seed in ours if seed in theirs)
        assert found["change_percent"] == pytest.approx(100 * mean(differences) / base, abs=1e-9)
        if len(differences) == 1:
            assert isnan(found["difference_ci95_low"])
            continue
        half = stats.t.ppf(0.975, len(differences) - 1) * stdev(differences) / sqrt(len(differences))
        assert found["difference_ci95_high"] - found["difference"] == pytest.approx(half, abs=1e-6)
        assert found["difference"] - found["difference_ci95_low"] == pytest.approx(half, abs=1e-6)


@given(SEEDS, st.floats(-50, 50))
def test_what_is_common_to_pairs_leaves_no_doubt(values: dict[int, float], shift: float) -> None:
    """Common random numbers: however much seeds differ, a constant difference has an interval of no width."""
    shifted = {seed: value + shift for seed, value in values.items()}
    found = compare(figures_of({1: {"closest": values, "dyncast": shifted}})).set_index("policy").loc["dyncast"]
    assert found["difference"] == pytest.approx(shift, abs=1e-8)
    if len(values) > 1:
        assert found["difference_ci95_high"] - found["difference_ci95_low"] == pytest.approx(0, abs=1e-6)
