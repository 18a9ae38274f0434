"""A run in which much breaks: each fault is done at its time, found out, steered around, and nothing is left of it."""

from __future__ import annotations

import csv
import json
import re
import signal
from pathlib import Path

import pytest
import yaml

from testbed.runtime.polling import wait_until
from tests.machine import dyncast, start_dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

FAULTS = [
    {"at_s": 1, "until_s": 5, "kind": "instance_crash", "instance": "render-1@middle"},
    {"at_s": 3, "until_s": 6, "kind": "control_killed", "site": "west"},
    {"at_s": 7, "until_s": 10, "kind": "egress_unreachable", "site": "middle"},
    {"at_s": 7, "until_s": 10, "kind": "instance_drain", "instance": "render-1@west"},
    {"at_s": 11, "kind": "instance_stop", "instance": "render-1@west"},
    {"at_s": 11, "until_s": 13.5, "kind": "agent_silent", "site": "middle"},
    {"at_s": 12, "kind": "instance_start", "instance": "render-2@west"},
]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    document = {
        "name": "broken",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "middle": {"at": "Chicago"}, "west": {"at": "Denver"}},
        "services": {"render": {"d_sid": "203.0.113.10"}},
        "instances": [
            {"service": "render", "site": "east", "workers": 16},
            {"service": "render", "site": "middle", "workers": 16},
            {"service": "render", "site": "west", "workers": 16, "count": 2},
        ],
        "clients": [{"site": "east"}],
        "workloads": [
            {"name": "jobs", "service": "render", "clients": ["east"], "arrivals": {"rate_per_s": 50},
             "work": {"distribution": "constant", "mean_ms": 500}, "timeout_s": 8}
        ],
        "policy": "round_robin",  # each instance has flows when it fails
        "metrics": {"interval_s": 0.2, "lifetime_s": 1, "probe_interval_s": 0.2},
        "faults": FAULTS,
        "duration_s": 15,
    }  # fmt: skip
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_each_fault_is_done_found_out_and_steered_around(scenario: Path, tmp_path: Path) -> None:
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    for fault in FAULTS:
        assert f"s: {fault['kind']} " in done.stdout
    (run_dir,) = (tmp_path / "results" / "broken").iterdir()
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    # What faults do to processes is planned.
    unplanned = re.compile(
        "cleanly|stood still for [0-9]{4,}|session|could not|nothing says|taking over|took its switch over"
    )
    assert not list(filter(unplanned.search, manifest["fidelity"]["reasons"]))

    with (run_dir / "faults.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    begun = {int(row["number"]): row for row in rows if row["event"] == "begin"}
    ended = {int(row["number"]): row for row in rows if row["event"] == "end"}
    assert set(begun) == set(range(len(FAULTS)))
    assert set(ended) == {number for number, fault in enumerate(FAULTS) if "until_s" in fault}
    for row in rows:
        assert float(row["time_s"]) >= float(row["due_s"])
        assert row["detail"] == ""
    for number, row in begun.items():
        assert float(row["time_to_detect_s"]) > 0, FAULTS[number]
        if "until_s" in FAULTS[number]:
            # Decisions for what is broken end before the fault does.
            lasted_s = float(ended[number]["time_s"]) - float(row["time_s"])
            assert float(row["time_to_steer_away_s"]) < lasted_s, FAULTS[number]
    assert int(begun[0]["flows_broken"]) >= 1  # those that the killed instance was serving
    assert int(begun[3]["flows_broken"]) == 0  # who drains serves whom it serves

    with (run_dir / "flows.csv").open(newline="", encoding="utf-8") as stream:
        flows = list(csv.DictReader(stream))
    served = {row["instance"] for row in flows if row["outcome"] == "ok" and row["started_s"] > begun[6]["time_s"]}
    assert "render-2@west" in served
    again = dyncast("report", str(run_dir))
    assert again.returncode == 0, again.stderr
    assert "instance_crash" in again.stdout


def test_ctrl_c_in_the_middle_of_faults_leaves_nothing(scenario: Path, tmp_path: Path) -> None:
    with unchanged():
        out = tmp_path / "results"
        # Minutes of them: a halted agent, a cut link, a control process that is away.
        faults = [
            {"at_s": 0.5, "until_s": 300, "kind": "agent_silent", "site": "middle"},
            {"at_s": 0.5, "until_s": 300, "kind": "egress_unreachable", "site": "west"},
            {"at_s": 0.6, "until_s": 300, "kind": "control_killed", "site": "middle"},
        ]
        settings = ["--set", "duration_s=360", "--set", f"faults={json.dumps(faults)}"]
        run = start_dyncast("run", str(scenario), "--out", str(out), *settings)
        wait_until(lambda: _begun(out) == len(faults), 150, "all faults")
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
    assert run.returncode == 130


def _begun(out: Path) -> int:
    parts = list(out.glob("broken/*/work/faults.faults.part.csv"))
    return len(parts[0].read_text().splitlines()) - 1 if parts else 0
