"""Raw metrics: what follows from them, and what is refused."""

from __future__ import annotations

import math

import pytest

from testbed.dyncast.metrics.levels import FIGURES, RawMetrics


def test_what_follows_from_the_fields() -> None:
    assert RawMetrics(4, queue_length=25, queue_limit=50).free_room == 0.5
    assert RawMetrics(4, queue_length=60, queue_limit=50).free_room == 0
    assert RawMetrics(4, busy_workers=3).free_room == 1
    assert RawMetrics(4, busy_workers=4).free_room == 0
    assert RawMetrics(4, memory_bytes=3, memory_limit_bytes=4).memory_utilisation == 0.75
    assert RawMetrics(4, memory_bytes=3).memory_utilisation == 0
    assert all(hasattr(RawMetrics(1), name) for name in FIGURES)


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
        {"workers": 1, "memory_bytes": -1},
        {"workers": 1, "cpu_utilisation": -0.1},
        {"workers": 1, "utilisation": 1.01},
        {"workers": 1, "cpu_utilisation": 1.01},
        {"workers": 1, "capacity_per_s": math.nan},
        {"workers": 1, "throughput_bps": math.inf},
    ],
)
def test_impossible_figures_are_refused(figures: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RawMetrics(**figures)  # type: ignore[arg-type]
