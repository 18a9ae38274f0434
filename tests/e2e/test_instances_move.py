"""Instances start, move and drain while they serve: nothing is lost, and no flow is seen by two of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.machine import dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

SITES = {"east", "middle", "west"}
MOVES = {"render-1@east": "render-1@west", "conference-1@east": "conference-1@west"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    out = tmp_path_factory.mktemp("results")
    with unchanged():
        done = dyncast("run", str(EXAMPLES / "migration.yaml"), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (out / "migration").iterdir()
    return load(run_dir)


def _steps(run: RunData) -> dict[str, dict[str, dict[str, str]]]:
    """Return the rows of each fault, by what it is and event."""
    steps: dict[str, dict[str, dict[str, str]]] = {}
    with (run.run_dir / "faults.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            steps.setdefault(f"{row['fault']} {row['target']}", {})[row["event"]] = row
    return steps


def _served(run: RunData, instance: str, after_s: float = 0.0, before_s: float = float("inf")) -> int:
    flows = run.flows[(run.flows["instance"] == instance) & run.flows["started_s"].between(after_s, before_s)]
    return len(flows)


def test_nothing_is_lost(run: RunData) -> None:
    assert set(run.flows["outcome"]) == {"ok"}
    for target, steps in _steps(run).items():
        assert steps["begin"]["flows_broken"] == "0", target
        assert not any(row["detail"] for row in steps.values()), steps
    broken = run.control[run.control["kind"] == "flows_broken"]
    assert broken["messages"].sum() == 0


def test_the_tables_agree_and_no_flow_is_seen_by_two_instances(run: RunData) -> None:
    assert [f"{check.name}: {check.detail}" for check in checks(run) if not check.ok] == []


@pytest.mark.parametrize("old", MOVES)
def test_an_instance_moves_in_order(run: RunData, old: str) -> None:
    new, steps = MOVES[old], _steps(run)[f"migrate {old} to {MOVES[old]}"]
    begin_s, draining_s, stopped_s = (float(steps[event]["time_s"]) for event in ("begin", "draining", "stopped"))
    assert begin_s < draining_s < stopped_s
    assert _served(run, old, before_s=begin_s) > 0
    assert _served(run, new, before_s=begin_s) == 0
    assert _served(run, new, after_s=stopped_s) > 0
    assert _served(run, old, after_s=stopped_s) == 0
    told_all_s = float(steps["begin"]["time_to_tell_all_s"])
    assert float(steps["begin"]["time_to_detect_s"]) <= told_all_s < stopped_s - begin_s


def test_every_d_router_knows_the_new_one_before_the_old_one_drains_and_both_states_then(run: RunData) -> None:
    d_bids = {item.name: item.d_bid for item in run.manifest.instances}
    received = run.metrics[run.metrics["event"] == "received"]
    for old, new in MOVES.items():
        draining_s = float(_steps(run)[f"migrate {old} to {new}"]["draining"]["time_s"])
        up = received[(received["d_bid"] == d_bids[new]) & received["reason"].isna()]
        assert set(up["node"]) == SITES
        assert up.groupby("node", observed=True)["time_s"].min().max() < draining_s
        told = received[received["d_bid"] == d_bids[old]]
        for state in ("draining", "down"):
            assert set(told[told["reason"] == state]["node"]) == SITES, state


def test_who_starts_and_who_drains_is_told_to_all(run: RunData) -> None:
    steps = _steps(run)
    started, drained = steps["instance_start render-1@middle"], steps["instance_drain render-1@middle"]
    for row in (started["begin"], drained["begin"], drained["end"]):
        assert 0 < float(row["time_to_tell_all_s"]) < 3.0, row
    assert _served(run, "render-1@middle") > 0


def test_a_move_that_the_end_of_the_run_cut_short_says_what_it_waited_for(tmp_path: Path) -> None:
    fault = {"at_s": 1, "kind": "migrate", "instance": "render-1@east", "to": "render-1@west", "quiet_s": 60}
    settings = ["--set", f"faults={json.dumps([fault])}", "--set", "duration_s=4", "--set", "workloads=[]"]
    done = dyncast("run", str(EXAMPLES / "migration.yaml"), "--out", str(tmp_path), *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (tmp_path / "migration").iterdir()
    rows = pd.read_csv(run_dir / "faults.csv")
    assert list(rows["event"]) == ["begin", "draining", "unfinished"]
    assert "render-1@east has not been quiet for 60 s" in rows["detail"].iloc[-1]
