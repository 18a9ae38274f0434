"""A run that is watched: a real one, by its page's events."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.machine import dyncast, start_dyncast, unchanged
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


def _events(url: str) -> list[tuple[str, Any]]:
    """Read until the server closes the stream."""
    found = []
    with urllib.request.urlopen(f"{url}events", timeout=60) as stream:
        kind = ""
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                found.append((kind, json.loads(value)))
    return found


def test_a_served_run_is_told_from_begin_to_end(tmp_path: Path) -> None:
    scenario = tmp_path / "small.yaml"
    faults = [{"kind": "link_down", "link": ["middle", "Chicago"], "at_s": 2, "until_s": 3}]
    scenario.write_text(yaml.safe_dump(small_document(faults=faults, duration_s=5)))
    with unchanged():
        run = start_dyncast("run", str(scenario), "--out", str(tmp_path / "results"), "--serve")
        try:
            assert run.stdout is not None
            said = ""
            while (found := re.search(r"watch it at (http://127\.0\.0\.1:\d+/)", said)) is None:
                line = run.stdout.readline()
                assert line, said
                said += line
            events = _events(found.group(1))
            rest, _ = run.communicate(timeout=60)
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait(30)
    assert run.returncode == 0, said + rest
    (run_dir,) = (tmp_path / "results" / "small").iterdir()
    states = [document for kind, document in events if kind == "state"]
    kind, end = events[-1]
    assert (kind, end["status"], end["run_dir"]) == ("end", "finished", str(run_dir))
    assert end["verdict"] in ("valid", "suspect", "invalid")
    assert {"network", "phase"} <= {kind for kind, _ in events}

    rows = (run_dir / "flows.csv").read_text().count("\n") - 1
    assert states[-1]["ended"] == rows  # each flow was read, once
    steered = {(ingress, site) for state in states for ingress, site, _ in state["flows"]}
    assert steered == {("east", "east"), ("east", "middle")}
    assert any(state["instances"].get("render-1@east", {}).get("completed", 0) for state in states)
    assert [fault["began_s"] is not None and fault["ended_s"] is not None for fault in states[-1]["faults"]] == [True]


def test_a_port_without_a_page_is_refused() -> None:
    done = dyncast("run", "any.yaml", "--port", "8080")
    assert (done.returncode, done.stderr) == (1, "dyncast: --port goes with --serve\n")
