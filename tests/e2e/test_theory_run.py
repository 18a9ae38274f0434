"""A run made for it comes out as theory says; a seeded error in the service process does not go unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.machine import CHECKOUT, dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

_TRIES = 3

# Python runs it at the start of each process, so also of the parent that instances are forked from: service times
# shrink where they are made, and nothing else knows.
_FASTER = f"""
import sys
if "testbed.runtime.fork_server" in sys.orig_argv:
    sys.path.insert(0, {str(CHECKOUT)!r})
    from testbed.agents.instance import processor

    class Faster(processor.ClockProcessor):
        def __init__(self, workers, queue_limit, speed, expected_s):
            super().__init__(workers, queue_limit, 1.15 * speed, expected_s)

    processor.ClockProcessor = Faster
"""


def _checked(out: Path, duration_s: float) -> dict[str, Any]:
    """Run the example, again if the machine was too busy for it; return what `dyncast check` says of it."""
    for number in range(_TRIES):
        results = out / str(number)
        with unchanged():
            ran = dyncast("run", str(EXAMPLES / "theory.yaml"), "--out", str(results), f"--set=duration_s={duration_s}")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        (run_dir,) = (results / "theory").iterdir()
        fidelity = json.loads((run_dir / "manifest.json").read_text())["fidelity"]
        if fidelity["verdict"] != "invalid":
            break
    told = dyncast("check", str(run_dir), "--json")
    document: dict[str, Any] = json.loads(told.stdout)
    assert told.returncode == (0 if document["holds"] else 1), told.stderr
    return {**document, "fidelity": fidelity}


def _holds(document: dict[str, Any]) -> None:
    assert document["left_out"] == []
    assert [item for item in document["checks"] if not item["holds"]] == [], document["fidelity"]
    assert len(document["checks"]) == 2 * 5 + 3  # queues; jitter, frames, RTP packets


def _fails(document: dict[str, Any]) -> None:
    failed = {(item["check"].partition(":")[0], item["subject"]) for item in document["checks"] if not item["holds"]}
    assert ("service time less the work, of who does not wait", "pool-1@middle") in failed
    assert not any("number in the system" in name for name, _ in failed)  # Little's law holds of any queue


def _seed_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sitecustomize.py").write_text(_FASTER)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_queues_jitter_and_packets_come_out_as_theory_says(tmp_path: Path) -> None:
    _holds(_checked(tmp_path / "results", 20))


def test_instances_that_are_faster_than_they_say_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _seed_error(tmp_path, monkeypatch)
    _fails(_checked(tmp_path / "results", 8))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_example_holds_and_an_error_moves_sojourn_times_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _holds(_checked(tmp_path / "sound", 90))
    _seed_error(tmp_path, monkeypatch)
    wrong = _checked(tmp_path / "wrong", 90)
    _fails(wrong)
    assert any("sojourn" in item["check"] for item in wrong["checks"] if not item["holds"])
