"""Looking into a run from another terminal while it goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import yaml

from testbed.emulation import run_tag
from testbed.runtime.polling import wait_until
from tests.machine import dyncast, start_dyncast, unchanged
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


def test_a_run_that_is_up_can_be_looked_into_and_ends_as_if_nobody_had(tmp_path: Path) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(yaml.safe_dump(small_document()))
    with unchanged():
        out = tmp_path / "results"
        run = start_dyncast("run", str(scenario), "--out", str(out), "--set", "duration_s=60")
        wait_until(lambda: list(out.glob("small/*/work/flows.*.csv")), 60, "traffic")
        tag = next(str(tag) for tag, item in run_tag.registrations().items() if item and item.owner.pid == run.pid)

        looked = dyncast("inspect", "--json", "--run", tag)
        assert looked.returncode == 0, looked.stderr
        documents = {document["d_router"]: document for document in json.loads(looked.stdout)}
        assert set(documents) == {"east", "middle"}
        for document in documents.values():
            assert {row["service"]: row["usable"] for row in document["services"]} == {"render": 2, "conference": 1}
            assert {row["state"] for row in document["bindings"]} == {"up"}
            assert document["time_s"] > 0
        assert documents["east"]["neighbours"][0]["rtt_ms"] > documents["east"]["neighbours"][0]["path_cost_ms"] / 2

        ended = dyncast("inspect", "east", "--reset-flows", "--service", "render", "--run", tag)
        assert ended.returncode == 0, ended.stderr
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert dyncast("inspect", "--run", tag).returncode == 1
