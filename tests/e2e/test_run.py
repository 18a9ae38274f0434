"""A whole run through the command line: its files, their agreement, its traces on the machine."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.records.tables import catalogue
from testbed.runtime.polling import wait_until
from tests.machine import dyncast, process_of, start_dyncast, unchanged
from tests.report_page import ReportPage
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small_document()))
    return path


def _rows(run_dir: Path, table: str) -> list[dict[str, str]]:
    with (run_dir / f"{table}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_run_leaves_tables_that_agree_and_nothing_else(scenario: Path, tmp_path: Path) -> None:
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (tmp_path / "results" / "small").iterdir()
    assert {path.name for path in run_dir.glob("*.csv")} == {f"{table}.csv" for table in catalogue()}
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["fidelity"]["verdict"] in ("valid", "suspect", "invalid")

    flows = _rows(run_dir, "flows")
    kinds = {row["kind"] for row in flows}
    assert kinds == {"http", "rtp_audio"}
    assert all(row["outcome"] == "ok" for row in flows)
    seen: dict[tuple[str, ...], set[str]] = {}
    for row in _rows(run_dir, "affinity"):
        key = (row["service"], row["proto"], row["src"], row["src_port"])
        seen.setdefault(key, set()).add(row["instance"])
    for row in flows:  # each flow reached one instance, the one that it says, as that instance says itself
        assert seen[row["service"], row["proto"], row["src"], row["src_port"]] == {row["instance"]}
    decided = {(row["src"], row["src_port"]): row["egress"] for row in _rows(run_dir, "decisions")}
    assert all(decided[row["src"], row["src_port"]] == row["site"] for row in flows)
    assert [check.name for check in checks(load(run_dir)) if not check.ok] == []
    assert {path.name for path in run_dir.glob("*.png")} >= {"completion_cdf.png", "instance_load.png"}
    page = ReportPage.of((run_dir / "report.html").read_text(encoding="utf-8"))
    assert {"Network", "Requests", "RTP streams", "Decisions"} <= {title for _, title in page.headings}

    again = dyncast("report", str(run_dir))
    assert again.returncode == 0, again.stderr
    assert "consistency checks hold" in again.stdout


def test_the_resolved_scenario_runs_again(scenario: Path, tmp_path: Path) -> None:
    assert dyncast("validate", str(scenario)).returncode == 0
    assert not (tmp_path / "results").exists()


def test_a_killed_run_is_removed_and_its_neighbours_are_not(scenario: Path, tmp_path: Path) -> None:
    neighbour = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    subprocess.run(["ovs-vsctl", "--may-exist", "add-br", "neighbour0", "--", "set", "bridge", "neighbour0",
                    "datapath_type=netdev"], check=True, timeout=20)  # fmt: skip
    try:
        with unchanged():
            out = tmp_path / "results"
            run = start_dyncast("run", str(scenario), "--out", str(out), "--set", "duration_s=60")
            wait_until(lambda: list(out.glob("small/*/work/flows.*.csv")), 60, "traffic")
            run.send_signal(signal.SIGKILL)
            run.wait()
            cleaned = dyncast("clean")
            assert cleaned.returncode == 0, cleaned.stderr
            assert "removed run" in cleaned.stdout
        assert neighbour.poll() is None
    finally:
        neighbour.kill()
        neighbour.wait()
        subprocess.run(["ovs-vsctl", "del-br", "neighbour0"], check=True, timeout=20)


def test_ctrl_c_ends_a_run_and_removes_it(scenario: Path, tmp_path: Path) -> None:
    with unchanged():
        out = tmp_path / "results"
        run = start_dyncast("run", str(scenario), "--out", str(out), "--set", "duration_s=60")
        wait_until(lambda: list(out.glob("small/*/work/flows.*.csv")), 60, "traffic")
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted" in said
    (manifest,) = out.glob("small/*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "interrupted"


def test_a_process_that_dies_ends_the_run_with_its_name(scenario: Path, tmp_path: Path) -> None:
    with unchanged():
        out = tmp_path / "results"
        run = start_dyncast("run", str(scenario), "--out", str(out), "--set", "duration_s=60")
        wait_until(lambda: list(out.glob("small/*/work/flows.*.csv")), 60, "traffic")
        (config,) = out.glob("small/*/work/render-1@middle.json")
        os.kill(process_of(config), signal.SIGKILL)
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "dyncast: render-1@middle ended with code -9" in said


@pytest.mark.slow
def test_two_runs_at_once_do_not_touch_each_other(scenario: Path, tmp_path: Path) -> None:
    with unchanged():
        runs = [start_dyncast("run", str(scenario), "--out", str(tmp_path / name)) for name in ("one", "two")]
        said = [run.communicate(timeout=150)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert all("consistency checks hold" in text for text in said)
