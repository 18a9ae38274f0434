"""The D-MA on a host of its own, over a link that delays and is cut; then a control process that is killed."""

from __future__ import annotations

import pandas as pd
import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.machine import dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

LINK_S, LIFETIME_S = 0.040, 2.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    out = tmp_path_factory.mktemp("results")
    with unchanged():
        done = dyncast("run", str(EXAMPLES / "edge-agent.yaml"), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (out / "edge-agent").iterdir()
    return load(run_dir)


def _fault(run: RunData, kind: str) -> tuple[pd.Series, float]:
    """Return the row of a fault's begin, and when it ended."""
    rows = run.faults[run.faults["fault"] == kind].set_index("event")
    return rows.loc["begin"], rows.loc["end", "time_s"]


def _noticed(run: RunData, begin_s: float, end_s: float) -> set[str]:
    rows = run.metrics[(run.metrics["node"] == "east") & (run.metrics["source"] == "west")]
    return set(rows[rows["time_s"].between(begin_s, end_s)]["event"]) - {"received"}


def test_reports_cross_the_agent_s_link_in_band_with_their_tag(run: RunData) -> None:
    metrics = run.metrics[run.metrics["event"] == "received"]
    for site in ("east", "west"):
        at_home = metrics[(metrics["node"] == site) & (metrics["source"] == site)]
        assert len(at_home) > 10
        assert at_home["age_s"].min() >= LINK_S
    refused = run.control[run.control["kind"].isin(["messages_unauthenticated", "messages_forged"])]
    assert refused["messages"].sum() == 0


def test_every_impaired_link_was_measured_before_the_traffic_that_of_the_agent_too(run: RunData) -> None:
    fidelity = run.manifest.fidelity
    assert fidelity is not None
    assert fidelity.measured["links_measured"] == len(run.manifest.link_counters)
    assert any("dma" in label for label in run.manifest.link_counters)
    assert fidelity.measured["link_delay_early_ms"] == 0


def test_a_cut_of_its_link_is_found_out_when_its_metrics_expire_and_undone(run: RunData) -> None:
    begin, end_s = _fault(run, "link_down")
    assert LIFETIME_S - 1 < begin["time_to_detect_s"] < end_s - begin["time_s"]
    assert "path_lost" not in _noticed(run, begin["time_s"], end_s)
    heard = run.metrics[(run.metrics["event"] == "received") & (run.metrics["source"] == "west")]["time_s"]
    assert not heard.between(begin["time_s"] + 1.0, end_s).any()
    assert heard.between(end_s, end_s + LIFETIME_S).any()


def test_a_killed_control_process_is_silent_and_its_path_is_alive(run: RunData) -> None:
    begin, end_s = _fault(run, "control_killed")
    noticed = _noticed(run, begin["time_s"], end_s)
    assert "control_silent" in noticed
    assert "path_lost" not in noticed
    assert begin["time_to_detect_s"] < LIFETIME_S  # at the next probes, before anything expires
    assert "control_back" in _noticed(run, end_s, float("inf"))
    assert begin["flows_broken"] == 0
    went_on = run.flows[run.flows["started_s"].between(begin["time_s"], end_s)]
    assert "render-1@west" in set(went_on["instance"])  # its metrics had not expired, and the east alone is too small


def test_every_request_was_served_and_the_tables_agree(run: RunData) -> None:
    assert set(run.flows["outcome"]) == {"ok"}
    assert [f"{check.name}: {check.detail}" for check in checks(run) if not check.ok] == []
