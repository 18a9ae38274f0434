"""Calibration on the machine that the tests run on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.machine import dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_machine_knows_what_it_carries_and_warns_of_more(tmp_path: Path) -> None:
    with unchanged():
        done = dyncast("calibrate", "--quick", "--out", str(tmp_path), timeout_s=500)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "calibration.json"
    carried = json.loads(path.read_text())["carried"]
    assert set(carried) == {"requests_per_s", "rtp_packets_per_s"}
    for found in carried.values():
        assert found["not_valid"] is None or found["reasons"]
        assert found["valid"] is None or found["not_valid"] is None or found["valid"] < found["not_valid"]
    little = {**carried, "requests_per_s": {"valid": 1.0, "not_valid": 2.0, "reasons": ["late"]}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "carried": little}))
    ran = dyncast("run", str(EXAMPLES / "first.yaml"), "--out", str(tmp_path), "--set", "duration_s=2")
    assert "warning: the scenario asks for 45 requests/s" in ran.stderr
