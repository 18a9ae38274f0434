"""A system that the product does not know (`tests.ticker`): registered from outside, it runs from key to report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.machine import CHECKOUT
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

_NETWORK = {key: small_document()[key] for key in ("topology", "sites", "duration_s")}
# In a process of its own, so that it is registered for no other test.
_PROGRAM = """
import json, sys
import tests.ticker
from testbed import analysis, experiment
from testbed.analysis.html_report import files
from testbed.analysis.measures.summary import summarise

folder = experiment.run(experiment.build(**json.loads(sys.argv[1])), sys.argv[2])
files.write_run(summarise(analysis.load(folder)))
print(folder)
"""


def _run(document: dict[str, Any], results: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(document), str(results)],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("document", "flows"),
    [({"name": "alone", **_NETWORK}, False), (small_document(name="beside-dyncast"), True)],
    ids=["without services", "beside services"],
)
def test_it_runs_from_its_key_to_its_section_of_the_report(
    document: dict[str, Any], flows: bool, tmp_path: Path
) -> None:
    run_dir = _run({**document, "tick_s": 0.1}, tmp_path)
    manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "finished"
    assert not [reason for reason in manifest["fidelity"]["reasons"] if "ticker" in reason], "it ended well"
    assert manifest["rows"]["ticks"] > document["duration_s"] / 0.1 / 2
    assert (manifest["rows"]["flows"] > 0) == flows
    assert "tick_s: 0.1" in (run_dir / "scenario.yaml").read_text(encoding="utf-8")
    report = (run_dir / "report.html").read_text(encoding="utf-8")
    assert f"<p>{manifest['rows']['ticks']} ticks</p>" in report
