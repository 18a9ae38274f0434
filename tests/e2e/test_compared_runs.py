"""`dyncast compare` on what two runs left, held against their tables by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import mean

import pytest
import yaml

from testbed.analysis.study.study_figures import compare, read
from tests.machine import dyncast, unchanged
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_two_policies_are_compared_by_what_their_runs_left(tmp_path: Path) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(yaml.safe_dump(small_document(duration_s=3)), encoding="utf-8")
    results = tmp_path / "results"
    with unchanged():
        for policy in ("closest", "round_robin"):
            done = dyncast("run", str(scenario), "--out", str(results), "--set", f"policy={policy}", timeout_s=100)
            assert done.returncode == 0, done.stderr
    run_dirs = sorted((results / "small").iterdir())
    policies = [json.loads((run_dir / "manifest.json").read_text())["policy"] for run_dir in run_dirs]
    assert policies == ["closest", "round_robin"]

    figures = read([results])
    assert (figures.factors, figures.skipped) == ((), ())
    comparison = compare(figures).set_index(["service", "measure", "policy"])
    means_ms = []
    for run_dir, policy in zip(run_dirs, policies, strict=True):
        flows = [row for row in _rows(run_dir / "flows.csv") if row["service"] == "render"]
        means_ms.append(mean(float(row["completion_ms"]) for row in flows if row["outcome"] == "ok"))
        assert comparison.at[("render", "completion_mean_ms", policy), "mean"] == pytest.approx(means_ms[-1])
        ours = figures.runs[(figures.runs["run_dir"] == str(run_dir)) & (figures.runs["service"] == "render")]
        assert ours["offered"].item() == len(flows)
    difference = comparison.loc[("render", "completion_mean_ms", "round_robin")]
    assert (difference["baseline"], difference["pairs"]) == ("closest", 1)
    assert difference["difference"] == pytest.approx(means_ms[1] - means_ms[0])
    lost = comparison.at[("conference", "rtp_loss_percent", "closest"), "mean"]
    assert 0 <= lost <= 100

    done = dyncast("compare", str(results))
    assert done.returncode == 0, done.stderr
    assert "one seed: no interval" in done.stdout
    written = {path.name for path in (results / "comparison").iterdir()}
    assert written == {"runs.csv", "comparison.csv", "comparison-render.png", "comparison-conference.png"}
