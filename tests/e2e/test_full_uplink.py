"""An uplink that calls fill: its D-Router sees it at its own port, and pays for it when it decides."""

from __future__ import annotations

import json

import pytest

from testbed.analysis.run_data.loading import RunData, load
from tests.machine import dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

BEFORE_S, FULL_S = (0.0, 3.0), (6.0, 9.0)  # of the load: no call is on, all are


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    out = tmp_path_factory.mktemp("results")
    with unchanged():
        done = dyncast("run", str(EXAMPLES / "full-uplink.yaml"), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (out / "full-uplink").iterdir()
    return load(run_dir)


def test_the_port_is_as_full_as_the_calls_make_it(run: RunData) -> None:
    ports = run.ports[run.ports["d_router"] == "east"]
    assert set(ports["rate_mbps"]) == {4.0}
    times_s = ports["time_s"] - run.start_s
    before, full = ports[times_s < BEFORE_S[1]], ports[times_s.between(*FULL_S)]
    assert before["utilisation"].max() < 0.2
    assert 0.6 < full["utilisation"].mean() < 1.05
    assert full["queueing_ms"].mean() > before["queueing_ms"].max()
    echoed = run.ports[(run.ports["d_router"] == "west") & (run.ports["time_s"] - run.start_s).between(*FULL_S)]
    assert echoed["utilisation"].isna().all()  # that link has no rate
    assert 2.4 < echoed["sent_mbps"].mean() < 4.4


def test_decisions_pay_for_it(run: RunData) -> None:
    decisions = run.decisions[run.decisions["service"] == "render"]
    times_s = decisions["time_s"] - run.start_s
    full = [candidate for text in decisions[times_s.between(*FULL_S)]["candidates"] for candidate in json.loads(text)]
    there = [candidate["port_ms"] for candidate in full if candidate["site"] == "west"]
    here = [candidate["port_ms"] for candidate in full if candidate["site"] == "east"]
    assert max(there) > 5.0
    assert set(here) == {0}


def test_jobs_stay_at_home_that_went_away_before(run: RunData) -> None:
    jobs = run.flows[run.flows["workload"] == "jobs"]
    due_s = jobs["due_s"] - run.start_s
    before, full = (jobs[due_s.between(*window)]["site"].eq("west").mean() for window in (BEFORE_S, FULL_S))
    assert full < before
