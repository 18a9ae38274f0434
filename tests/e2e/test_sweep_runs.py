"""Sweeps through the command line: a study that is interrupted after its first run and resumed, and wrong input."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.study.study_folder import MACHINE_LOCK
from testbed.runtime.polling import wait_until
from tests.machine import dyncast, dyncast_without_root, small_disk, start_dyncast, unchanged
from tests.studies import write_study

pytestmark = pytest.mark.timeout(240)


def _register(out: Path) -> list[dict[str, Any]]:
    path = out / "loads" / "sweep.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


def _statuses(out: Path) -> list[str]:
    return [entry["status"] for entry in _register(out)]


def _manifest(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "manifest.json").read_text())


@pytest.mark.root
def test_a_sweep_is_interrupted_after_a_run_and_resumed(tmp_path: Path) -> None:
    study = write_study(tmp_path, set={"duration_s": 2, "workloads.1.call_duration.mean_ms": 300}, grid=None, seeds=1)
    out = tmp_path / "results"
    with unchanged():
        first = start_dyncast("sweep", str(study), "--out", str(out))
        wait_until(lambda: _statuses(out) == ["finished", "running"], 60, "the second run")
        wait_until(lambda: list(out.glob("loads/runs/policy=dyncast*/*/manifest.json")), 30, "its folder")
        other = dyncast("sweep", str(study), "--out", str(tmp_path / "elsewhere"))
        first.send_signal(signal.SIGINT)
        said, _ = first.communicate(timeout=60)
        assert first.returncode == 130, said
        assert "1 of 2 runs are done" in said
        assert f"dyncast sweep {study}" in said
        assert other.returncode == 1
        assert f"another sweep runs on this machine (process {first.pid}" in other.stderr
        assert _statuses(out) == ["finished", "interrupted"]
        (finished,) = out.glob("loads/runs/policy=closest*/*")
        before = (finished / "manifest.json").read_bytes()

        resumed = dyncast("sweep", str(study), "--out", str(out))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "1 done, 1 to do" in resumed.stdout
    assert _statuses(out) == ["finished", "finished"]
    assert (finished / "manifest.json").read_bytes() == before
    assert [run_dir.parent for run_dir in out.glob("loads/runs/*/*")].count(finished.parent) == 1
    assert len(list(out.glob("loads/runs/policy=dyncast*/*"))) == 2  # the interrupted one is kept
    for entry in _register(out):
        run_dir = out / "loads" / entry["run_dir"]
        manifest = _manifest(run_dir)
        assert manifest["case"]["fingerprint"] == entry["fingerprint"]
        assert manifest["case"]["settings"] == entry["settings"] == {"policy": manifest["policy"]}
        assert manifest["scenario"] == "small"
        assert (run_dir / "flows.csv").exists()
        assert not list(run_dir.glob("*.png"))


@pytest.mark.root
def test_a_failed_run_does_not_end_a_sweep_and_all_is_given_to_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNCAST_OWNER", "65534:65534")  # as the launcher says who called sudo
    study = write_study(
        tmp_path, policies=None, seeds=1, grid={"workloads.0.arrivals": [_trace("good.csv"), _trace("bad.csv")]},
        set={"duration_s": 1, "workloads.1.call_duration.mean_ms": 300},
    )  # fmt: skip
    (tmp_path / "good.csv").write_text("offset_s\n0.5\n")
    (tmp_path / "bad.csv").write_text("offset_s\nsoon\n")
    out = tmp_path / "results"
    with unchanged():
        done = dyncast("sweep", str(study), "--out", str(out))
    assert done.returncode == 1, done.stdout + done.stderr
    assert _statuses(out) == ["finished", "failed"]
    assert "bad.csv" in _register(out)[1]["error"]
    assert "failed: arrivals=" in done.stdout
    assert "tries again" in done.stdout.splitlines()[-1]
    assert {path.stat().st_uid for path in (out / "loads", *(out / "loads").rglob("*"))} == {65534}


def _trace(name: str) -> dict[str, str]:
    return {"process": "trace", "path": name}


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    study = write_study(tmp_path / "studies")
    lock = MACHINE_LOCK.stat().st_mtime_ns if MACHINE_LOCK.exists() else None
    done = dyncast("sweep", str(study), "--out", str(tmp_path / "results"), "--dry-run", "--limit", "3")
    assert done.returncode == 0, done.stderr
    assert "1  rate_per_s=10,policy=closest,seed=1  to do" in done.stdout
    assert "8  rate_per_s=20,policy=dyncast,seed=2  to do" in done.stdout
    assert "8 runs" in done.stdout
    assert "3 to do now: about 42 s" in done.stdout
    assert not (tmp_path / "results").exists()
    assert (MACHINE_LOCK.stat().st_mtime_ns if MACHINE_LOCK.exists() else None) == lock


def test_a_key_that_does_not_exist_is_one_line_and_code_2(tmp_path: Path) -> None:
    study = write_study(tmp_path, grid={"metrics.intervall_s": [1]})
    done = dyncast("sweep", str(study), "--dry-run")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    for word in (str(study), "case intervall_s=1", "metrics.intervall_s", "did you mean 'interval_s'"):
        assert word in line


def test_help_teaches_with_an_example() -> None:
    done = dyncast("sweep", "--help")
    assert done.returncode == 0
    assert "policies: [closest, dyncast]" in done.stdout
    assert "--dry-run" in done.stdout


def test_the_schema_of_studies_is_printed() -> None:
    done = dyncast("schema", "--study")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["properties"].keys() >= {"scenario", "grid", "policies", "seeds", "baseline"}


@pytest.mark.root
def test_without_root_a_sweep_says_so(tmp_path: Path) -> None:
    study = str(write_study(tmp_path))
    done = dyncast_without_root(["sweep", study, "--dry-run"], "sweep", study)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "root" in line
    assert "--dry-run" in line
    assert os.geteuid() == 0


@pytest.mark.root
def test_a_full_disk_ends_a_sweep_in_one_line(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as small:
        with unchanged():
            done = dyncast("sweep", str(write_study(tmp_path)), "--out", str(small))
        assert done.returncode == 1
        (line,) = done.stderr.strip().splitlines()
        assert "MiB free" in line
        assert _statuses(small) == ["waiting"] * 8
