"""`dyncast compare` from its command line to its files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import matplotlib.image
import pytest

from testbed.analysis.study.study_figures import read
from testbed.cli.app import run_command
from tests.study_runs import rated, verdict, write_study_run


def dyncast(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it said on either stream, on one line each."""
    code = run_command([str(item) for item in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for rate in (45, 60):
        for policy, ms in (("closest", 400.0), ("dyncast", 90.0)):
            for seed in (1, 2):
                in_doubt = verdict("suspect", "relay late") if (rate, policy, seed) == (60, "dyncast", 2) else {}
                run_dir = folder / "runs" / f"{policy}{rate}" / f"r{seed}"
                times = [ms + 9 * seed * rate, ms]
                write_study_run(run_dir, policy, seed, times, refused=seed, scenario=rated(rate), manifest=in_doubt)
    read([folder])  # so that tests find measures.json
    return folder


@pytest.fixture
def study(finished_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_runs, tmp_path / "study"))


def test_a_study_is_compared(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = dyncast(capsys, "compare", study)
    assert (code, err) == (0, "")
    for words in (
        "web: mean over seeds",
        "rate_per_s 60",
        "8 runs: 7 valid, 1 suspect",
        "1 of 8 runs SUSPECT: relay late",
        "factors: workloads.0.arrivals.rate_per_s",
        "-310",
    ):
        assert words in out
    folder = study / "comparison"
    assert sorted(path.name for path in folder.iterdir()) == ["comparison-web.png", "comparison.csv", "runs.csv"]
    assert all(str(path) in out for path in folder.iterdir())
    assert len(rows(folder / "runs.csv")) == 8
    found = [row for row in rows(folder / "comparison.csv") if row["measure"] == "completion_p99_ms"]
    assert [(row["policy"], row["workloads.0.arrivals.rate_per_s"], row["seeds"]) for row in found] == [
        ("closest", "45", "2"),
        ("dyncast", "45", "2"),
        ("closest", "60", "2"),
        ("dyncast", "60", "2"),
    ]
    assert found[0]["difference"] == ""
    assert float(found[1]["difference"]) == pytest.approx(-310)
    assert matplotlib.image.imread(folder / "comparison-web.png")[..., :3].std() > 0.01


def test_it_says_what_was_left_out(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "runs" / "closest45" / "r2" / "affinity.csv").unlink()
    out_dir = study / "elsewhere"
    code, out, err = dyncast(capsys, "compare", study, "--only-valid", "--baseline", "dyncast", "--out", out_dir)
    assert code == 0
    assert "affinity.csv is missing" in err
    assert "left out: 1 of 7 runs that are not valid" in err
    assert "6 runs: 6 valid" in out
    assert "closest at rate_per_s 45: seeds 2 have no pair under dyncast" in out
    assert "closest at rate_per_s 60: seeds 2 have no pair under dyncast" in out
    assert "some cases have one seed: no interval" in out
    assert {row["baseline"] for row in rows(out_dir / "comparison.csv")} == {"dyncast"}


def test_nothing_to_compare_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_study_run(tmp_path / "r", manifest={"status": "failed", "error": "no room"})
    code, _, err = dyncast(capsys, "compare", tmp_path)
    assert code == 1
    assert "the run is failed (no room)" in err
    assert "nothing to compare" in err
    assert not (tmp_path / "comparison").exists()


def test_wrong_input_is_one_line(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        ((study / "nowhere",), "nowhere does not exist; name run folders"),
        ((study, "--baseline", "orcale"), "baseline 'orcale': no run has that policy; there are: closest, dyncast"),
        ((), "Missing argument"),
    ):
        code, _, err = dyncast(capsys, "compare", *arguments)
        assert code == 2
        assert words in err
        assert len(err.splitlines()) == 1


def test_a_place_that_cannot_be_written_to_is_named(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "comparison").write_text("a file, so that there can be no folder")
    code, out, err = dyncast(capsys, "compare", study)
    assert code == 1
    assert "web: mean over seeds" in out
    assert f"{study / 'comparison'}: cannot be written: File exists; choose another place with --out" in err


def test_pictures_of_an_earlier_comparison_go(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = study / "comparison"
    folder.mkdir()
    (folder / "comparison-render.png").write_bytes(b"of an earlier one")
    (folder / "mine.png").write_bytes(b"the user's own")
    assert dyncast(capsys, "compare", study)[0] == 0
    assert not (folder / "comparison-render.png").exists()
    assert (folder / "mine.png").exists()
