"""What the sweep over ages makes of a run's flows, and how sure it is of means."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.analysis.confidence import half_width
from testbed.experiment.runner import RunResult
from tests.bench.age_sweep import figures
from tests.bench.confidence import difference

MANIFEST = {
    "start_s": 100.0,
    "fidelity": {"verdict": "valid", "reasons": []},
    "instances": [{"name": "render-1@east", "d_bid": "10.1.0.10"}, {"name": "render-1@west", "d_bid": "10.2.0.10"}],
}


def run_with(folder: Path, *flows: tuple[float, float | str, str, str]) -> RunResult:
    rows = [",".join(map(str, flow)) for flow in flows]
    (folder / "flows.csv").write_text("\n".join(["due_s,completion_ms,instance,outcome", *rows]) + "\n")
    return RunResult(folder, MANIFEST)


def test_only_flows_of_the_measured_stretch_count(tmp_path: Path) -> None:
    flows = [
        (100.5, 900, "render-1@east", "ok"),
        *[(101.0 + n / 10, 100 + n, "render-1@east", "ok") for n in range(20)],
    ]
    before, after = (100.5, 900, "render-1@east", "ok"), (103.0, 900, "render-1@west", "ok")
    found = figures(run_with(tmp_path, before, *flows, after), 1.0, 3.0, timeout_s=10)
    assert found.mean_ms == pytest.approx(109.5)
    assert found.p95_ms == pytest.approx(119, abs=1)
    assert found.dispersion == 0  # ten a second


def test_what_was_not_served_took_its_time_out(tmp_path: Path) -> None:
    flows = [(101.0, 100, "render-1@east", "ok"), (101.1, 5, "render-1@west", "refused"), (101.2, "", "", "timeout")]
    found = figures(run_with(tmp_path, *flows), 1.0, 3.0, timeout_s=10)
    assert found.mean_ms == pytest.approx((100 + 10_000 + 10_000) / 3)


def test_a_confidence_interval_is_student_s() -> None:
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.30265 / 3**0.5, rel=1e-5)
    assert difference([1.0, 2.0, 3.0]) == "+2 ± 2"
