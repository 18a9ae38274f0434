"""What a comparison of many runs says: means, intervals and differences, each against scipy's or worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from testbed.analysis.run_data.loading import RunDataError
from testbed.analysis.study.study_figures import StudyFigures, compare, marks, read
from tests.study_runs import figures_of, rated, verdict, write_study_run

# Three seeds under two policies: seeds differ more than policies do.
CLOSEST = {1: 120.0, 2: 220.0, 3: 320.0}
DYNCAST = {1: 110.0, 2: 209.0, 3: 308.0}
RATE = "workloads.0.arrivals.rate_per_s"
TWO_POLICIES = figures_of({45: {"closest": CLOSEST, "dyncast": DYNCAST}})


def row(comparison: pd.DataFrame, policy: str, **more: object) -> Mapping[str, object]:
    for column, value in {"policy": policy, "measure": "completion_mean_ms", **more}.items():
        comparison = comparison[comparison[column] == value]
    assert len(comparison) == 1
    return dict(comparison.iloc[0])


def test_a_run_and_service_is_a_row(tmp_path: Path) -> None:
    for rate in (45, 60):
        write_study_run(tmp_path / f"{rate}", "dyncast", 3, [290.0, 350.0], refused=2, scenario=rated(rate))
    figures = read([tmp_path])
    assert (figures.factors, figures.skipped) == ((RATE,), ())
    assert list(figures.runs.columns[:8]) == [
        *("run_dir", RATE, "policy", "seed", "verdict", "reasons", "service", "offered")
    ]
    assert list(figures.runs[RATE]) == [45, 60]
    first = figures.runs.iloc[0]
    assert (first["policy"], first["seed"], first["service"], first["verdict"]) == ("dyncast", 3, "web", "valid")
    assert (first["offered"], first["completion_mean_ms"]) == (4, 320.0)
    for percent in (50, 95, 99):
        assert first[f"completion_p{percent}_ms"] == pytest.approx(np.percentile([290, 350], percent))
    assert (first["refused_percent"], first["failed_percent"], first["unserved_percent"]) == (50.0, 0.0, 50.0)
    assert first["signalling_bytes_per_s"] == pytest.approx((1700 - 500) / 10)
    assert math.isnan(first["rtp_loss_percent"])


def test_means_have_student_s_interval() -> None:
    means = list(CLOSEST.values())
    found = row(compare(TWO_POLICIES), "closest")
    low, high = stats.t.interval(0.95, len(means) - 1, loc=np.mean(means), scale=stats.sem(means))
    assert found["mean"] == pytest.approx(np.mean(means))
    assert (found["ci95_low"], found["ci95_high"]) == (pytest.approx(low), pytest.approx(high))
    assert (found["seeds"], found["unit"], found["baseline"], found["pairs"]) == (3, "ms", "closest", 0)
    assert math.isnan(found["difference"])  # type: ignore[arg-type]


def test_differences_are_taken_seed_by_seed() -> None:
    ours, theirs = list(DYNCAST.values()), list(CLOSEST.values())
    found = row(compare(TWO_POLICIES), "dyncast")
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found["difference"] == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert (found["difference_ci95_low"], found["difference_ci95_high"]) == (pytest.approx(low), pytest.approx(high))
    assert found["change_percent"] == pytest.approx(100 * (np.mean(ours) / np.mean(theirs) - 1))
    assert (found["pairs"], found["unpaired_seeds"]) == (3, "")
    # What pairing is for: the policies' own intervals overlap, and yet the difference is sure.
    assert found["ci95_high"] > row(compare(TWO_POLICIES), "closest")["ci95_low"]
    assert found["difference_ci95_high"] < 0


def test_the_baseline_can_be_chosen() -> None:
    found = row(compare(TWO_POLICIES, "dyncast"), "closest")
    assert (found["baseline"], found["difference"]) == ("dyncast", pytest.approx(11.0))
    with pytest.raises(RunDataError, match="baseline 'oracle': no run has that policy; there are: closest, dyncast"):
        compare(TWO_POLICIES, "oracle")


def test_a_value_of_a_factor_can_be_the_baseline(tmp_path: Path) -> None:
    """Each policy is compared with itself there, at equal values of all other factors."""
    steps = {0.5: 3, 2: 12}  # the lifetime goes with the interval
    for interval_s, lifetime_s in steps.items():
        for load in (40, 80):
            for policy, ms in (("closest", 100.0), ("dyncast", 10.0)):
                scenario = {"metrics": {"interval_s": interval_s, "lifetime_s": lifetime_s}, "load": load}
                for seed in (1, 2):
                    folder = tmp_path / f"{policy}-{interval_s}-{load}-{seed}"
                    write_study_run(folder, policy, seed, [ms * interval_s + load + seed], scenario=scenario)
    figures = read([tmp_path])
    for name in ("metrics.interval_s=0.5", "interval_s=0.5"):
        found = compare(figures, name)
        for policy, ms in (("closest", 100.0), ("dyncast", 10.0)):
            for load in (40, 80):
                at = {"metrics.interval_s": 2, "load": load}
                assert row(found, policy, **at)["baseline"] == "metrics.interval_s=0.5"
                assert (row(found, policy, **at)["difference"], row(found, policy, **at)["pairs"]) == (1.5 * ms, 2)
                own = row(found, policy, **at | {"metrics.interval_s": 0.5})
                assert math.isnan(own["difference"])  # type: ignore[arg-type]
    for name, said in {
        "interval_s=3": "baseline 'interval_s=3': no run has that metrics.interval_s; there are: 0.5, 2",
        "lifetime_s=3": "lifetime_s is no factor here; there are: metrics.interval_s, load",
    }.items():
        with pytest.raises(RunDataError, match=said):
            compare(figures, name)


def test_the_study_s_baseline_goes_before_the_usual_one(tmp_path: Path) -> None:
    for policy in ("closest", "dyncast"):
        write_study_run(tmp_path / policy, policy)
    assert read([tmp_path]).baseline_among().name == "closest"
    (tmp_path / "study.yaml").write_text("name: s\nbaseline: dyncast\n")
    assert read([tmp_path]).baseline_among().name == "dyncast"
    (tmp_path / "study.yaml").write_text("name: s\nbaseline: never-run\n")
    assert read([tmp_path]).baseline_among().name == "closest"
    (tmp_path / "study.yaml").write_text("name: [")
    assert "study.yaml: cannot be read" in read([tmp_path]).skipped[0]
    assert read([tmp_path / "dyncast"]).baseline_among().name == "dyncast"


def test_pairs_are_of_equal_factors() -> None:
    def policies(load: float) -> dict[str, dict[int, float]]:
        return {"closest": {1: 10 * load, 2: 20 * load}, "dyncast": {1: 9.5 * load, 2: 19.5 * load}}

    comparison = compare(figures_of({load: policies(load) for load in (45, 60)}))
    for load in (45, 60):
        found = row(comparison, "dyncast", load=load)
        assert (found["pairs"], found["difference"]) == (2, pytest.approx(-load / 2))
        assert found["difference_ci95_low"] == pytest.approx(found["difference_ci95_high"])
    assert list(dict.fromkeys(comparison["policy"])) == ["closest", "dyncast"]


def test_unpaired_seeds_are_named_and_left_out_of_the_difference() -> None:
    values = {"closest": {1: 100.0, 2: 200.0, 4: 900.0}, "dyncast": {1: 90.0, 2: 170.0, 3: 1.0}}
    found = row(compare(figures_of({45: values})), "dyncast")
    assert (found["seeds"], found["mean"]) == (3, pytest.approx(87.0))
    assert (found["pairs"], found["unpaired_seeds"], found["difference"]) == (2, "3 4", pytest.approx(-20.0))
    assert found["change_percent"] == pytest.approx(100 * -20 / 150)


def test_a_case_that_the_baseline_has_no_run_of_has_no_difference() -> None:
    found = row(compare(figures_of({45: {"closest": CLOSEST}, 60: {"dyncast": DYNCAST}})), "dyncast")
    assert (found["baseline"], found["pairs"], found["unpaired_seeds"]) == ("closest", 0, "1 2 3")
    assert math.isnan(found["difference"])  # type: ignore[arg-type]


def test_one_seed_has_no_interval() -> None:
    found = row(compare(figures_of({45: {"closest": {1: 100.0}, "dyncast": {1: 80.0}}})), "dyncast")
    assert (found["mean"], found["difference"], found["change_percent"]) == (80.0, -20.0, -20.0)
    for bound in ("ci95_low", "ci95_high", "difference_ci95_low", "difference_ci95_high"):
        assert math.isnan(found[bound])  # type: ignore[arg-type]


def test_runs_of_one_seed_are_no_more_evidence_than_one() -> None:
    once, again = (figures_of({45: {"closest": values}}).runs for values in ({1: 100.0, 2: 200.0}, {1: 120.0}))
    found = row(compare(StudyFigures(("load",), pd.concat([once, again]))), "closest")
    assert (found["seeds"], found["runs"], found["mean"]) == (2, 3, pytest.approx((110 + 200) / 2))


def test_calls_are_measured_by_what_came_back(tmp_path: Path) -> None:
    write_study_run(tmp_path / "a", completions_ms=[5.0], calls=[(100, 90, 2.0), (300, 300, 4.0)])
    figures = read([tmp_path])
    runs = figures.runs.set_index("service")
    assert list(runs.index) == ["voice", "web"]
    voice = runs.loc["voice"]
    assert voice["rtp_loss_percent"] == pytest.approx(100 * 10 / 400)
    assert voice["rtp_jitter_mean_ms"] == pytest.approx(3.0)
    assert voice["rtp_delay_mean_ms"] == pytest.approx(30.0)
    assert voice["offered"] == 2
    assert math.isnan(voice["completion_mean_ms"])
    measured = compare(figures).groupby("service")["measure"].agg(set)
    assert "rtp_loss_percent" in measured["voice"] - measured["web"]
    assert "completion_p99_ms" in measured["web"] - measured["voice"]


def test_runs_in_doubt_are_counted_and_can_be_left_out(tmp_path: Path) -> None:
    write_study_run(tmp_path / "a", "closest", 1, [100.0])
    write_study_run(tmp_path / "b", "closest", 2, [300.0], manifest=verdict("suspect", "relay late"))
    write_study_run(tmp_path / "c", "dyncast", 1, [50.0], scenario=rated(60), manifest=verdict("invalid", "CPU full"))
    figures = read([tmp_path])
    found = row(compare(figures), "closest")
    assert (found["runs"], found["valid"], found["suspect"], found["invalid"]) == (2, 1, 1, 0)
    assert marks(figures) == ["1 of 3 runs SUSPECT: relay late", "1 of 3 runs INVALID: CPU full"]
    left = figures.only_valid()
    assert (left.factors, list(left.runs["seed"]), RATE in left.runs.columns) == ((), [1], False)
    assert marks(left) == []
    assert row(compare(left), "closest")["mean"] == 100.0


def test_a_reason_with_other_figures_is_the_same_reason() -> None:
    figures = figures_of({45: {"closest": {1: 1.0, 2: 1.0, 3: 1.0}}})
    figures.runs["verdict"] = "suspect"
    figures.runs["reasons"] = ["CPU 93 % busy; relay 2.5 ms late", "CPU 99.5 % busy", "no reason"]
    assert marks(figures) == ["3 of 3 runs SUSPECT: CPU 93 % busy (and 1 like it); relay 2.5 ms late; no reason"]


def test_folders_that_hold_no_finished_run_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_study_run(tmp_path / "good")
    (write_study_run(tmp_path / "cut") / "flows.csv").write_bytes((tmp_path / "good" / "flows.csv").read_bytes()[:-7])
    (write_study_run(tmp_path / "gone") / "rtp.csv").unlink()
    write_study_run(tmp_path / "killed", manifest={"status": "interrupted", "error": "KeyboardInterrupt"})
    write_study_run(tmp_path / "newer", manifest={"format": 99})
    (write_study_run(tmp_path / "no_manifest") / "manifest.json").unlink()
    (write_study_run(tmp_path / "bare") / "scenario.yaml").write_text("a: b: c\n")
    write_study_run(tmp_path / "empty", completions_ms=[])
    (tmp_path / "other").mkdir()
    figures = read([tmp_path, tmp_path / "other"])
    assert list(figures.runs["run_dir"]) == [str(tmp_path / "good")]
    expected = {
        "bare": "scenario.yaml line 1: is no YAML",
        "cut": "flows.csv is half written",
        "empty": "no flow was offered",
        "gone": "rtp.csv is missing",
        "killed": "the run is interrupted (KeyboardInterrupt)",
        "newer": "is of format 99",
        "no_manifest": "manifest.json is missing",
        "other": "there is no run in it",
    }
    assert len(figures.skipped) == len(expected)
    for (name, words), line in zip(expected.items(), sorted(figures.skipped), strict=True):
        assert line.startswith(str(tmp_path / name))
        assert words in line
        assert "\n" not in line
    with pytest.raises(RunDataError, match="nowhere does not exist"):
        read([tmp_path / "nowhere"])


def test_nothing_is_read_twice(tmp_path: Path) -> None:
    run_dir = write_study_run(tmp_path / "study" / "runs" / "case" / "r1")
    (tmp_path / "study" / "scenario.yaml").write_text("name: the study's own\n")
    (tmp_path / "study" / "study.yaml").write_text("name: study\n")
    told: list[tuple[int, int]] = []
    figures = read([tmp_path, run_dir, run_dir.parent], lambda done, of: told.append((done, of)))
    assert list(figures.runs["run_dir"]) == [str(run_dir)]
    assert figures.skipped == ()
    assert told == [(1, 1)]


def test_runs_that_a_study_has_no_case_for_any_more_are_left_out(tmp_path: Path) -> None:
    old, new = (write_study_run(tmp_path / "runs" / "case" / run_id) for run_id in ("1", "2"))
    register = tmp_path / "sweep.json"
    cases = [
        {"case": "case", "status": "finished", "run_dir": "runs/case/2"},
        {"case": "another", "status": "waiting", "run_dir": None},
    ]
    register.write_text(json.dumps({"format": 1, "cases": cases}))
    figures = read([tmp_path])
    assert list(figures.runs["run_dir"]) == [str(new)]
    assert figures.skipped == (
        f"{register}: 1 of 2 cases have no finished run yet; sweep to have them",
        f"{register}: has no case for 1 older runs; name their folders to have them, too",
    )
    assert list(read([tmp_path, old]).runs["run_dir"]) == [str(old), str(new)]
    register.write_text('{"cases": [')
    figures = read([tmp_path])
    assert len(figures.runs) == 2
    assert "sweep.json: cannot be read, so all runs below count" in figures.skipped[0]


def test_no_runs_are_an_empty_comparison(tmp_path: Path) -> None:
    figures = read([tmp_path])
    assert figures.runs.empty
    assert compare(figures).empty
    assert {"run_dir", "policy", "completion_mean_ms"} <= set(figures.runs.columns)
    assert {"difference", "measure"} <= set(compare(figures).columns)


def test_runs_of_an_indifferent_policy_count_for_every_value(tmp_path: Path) -> None:
    variants = [{"metrics.interval_s": 1, "duration_s": 9}, {"metrics.interval_s": 5, "duration_s": 12}]
    study = {"baseline": "dyncast", "variants": variants, "indifferent": {"metrics.interval_s": ["closest"]}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    for step in variants:
        scenario = {"metrics": {"interval_s": step["metrics.interval_s"]}, "duration_s": step["duration_s"]}
        for policy, ms in (("closest", 50.0), ("dyncast", 10.0 * step["duration_s"])):
            if policy == "dyncast" or step is variants[0]:
                write_study_run(tmp_path / f"{policy}{step['duration_s']}", policy, 1, [ms], scenario=scenario)
    figures = read([tmp_path])
    assert len(figures.runs) == 3
    found = compare(figures)
    for interval_s, duration_s in ((1, 9), (5, 12)):
        at = {"metrics.interval_s": interval_s, "duration_s": duration_s}
        assert row(found, "closest", **at)["mean"] == 50.0
        assert row(found, "closest", **at)["difference"] == 50.0 - 10.0 * duration_s
    # but for what they signalled, which is that of their own interval
    signalled = found[(found["measure"] == "signalling_bytes_per_s") & (found["policy"] == "closest")]
    assert list(signalled["metrics.interval_s"]) == [1]


def test_named_variants_are_compared_by_name(tmp_path: Path) -> None:
    for variant, rate, took_ms in (("calm", 45, 20.0), ("busy", 60, 70.0)):
        case = {"case": {"settings": {"variant": variant, "policy": "closest"}}}
        write_study_run(tmp_path / variant, "closest", 1, [took_ms], scenario=rated(rate), manifest=case)
    figures = read([tmp_path])
    assert figures.factors == ("variant",)
    assert row(compare(figures), "closest", variant="busy")["mean"] == 70.0


def test_a_study_file_that_says_nothing_of_use_is_passed_over(tmp_path: Path) -> None:
    write_study_run(tmp_path / "run")
    for content in ("just text", "indifferent: 3", "indifferent: {a: b}\nvariants: [1, {c: 2}]", "baseline: [1]"):
        (tmp_path / "study.yaml").write_text(content)
        figures = read([tmp_path])
        assert (len(figures.runs), figures.skipped, figures.baseline) == (1, (), None)
