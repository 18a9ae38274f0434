"""A whole run whose reports and probes are authenticated is as good as one without."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.emulation.run_tag import REGISTER
from tests.machine import dyncast, unchanged
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

_REFUSED = ("messages_malformed", "messages_unauthenticated", "messages_unknown_sender", "messages_forged",
            "messages_replayed", "messages_stale", "reports_rate_limited", "reports_foreign_d_bid")  # fmt: skip


def test_a_run_with_authentication_refuses_nothing_and_leaves_no_keys(tmp_path: Path) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(yaml.safe_dump(small_document(metrics={"authentication": "hmac"})))
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (tmp_path / "results" / "small").iterdir()
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["fidelity"]["verdict"] != "invalid", manifest["fidelity"]
    assert [check.name for check in checks(load(run_dir)) if not check.ok] == []
    with (run_dir / "control.csv").open(newline="") as stream:
        control = list(csv.DictReader(stream))
    assert {row["kind"] for row in control} >= {"report", "probe", "probe_reply"}
    assert [row["kind"] for row in control if row["kind"] in _REFUSED] == []
    assert not (REGISTER / f"{manifest['run_tag']}.keys").exists()
    assert b"keys_file" not in b"".join(path.read_bytes() for path in run_dir.rglob("*") if path.is_file())
