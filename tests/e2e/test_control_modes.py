"""A controller that decides, one that hands out metrics, and ingresses that go on while it is away."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.machine import dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

CONTROLLER, INGRESSES = "middle", ("east", "west")
AWAY = {"at_s": 3, "until_s": 5, "kind": "control_killed", "site": CONTROLLER}
INTERVAL_S = 0.5  # of metrics, in both examples at most


def _run(example: str, tmp_path_factory: pytest.TempPathFactory) -> RunData:
    out = tmp_path_factory.mktemp("results")
    settings = ["--set", "duration_s=8", "--set", f"faults={json.dumps([AWAY])}"]
    with unchanged():
        done = dyncast("run", str(EXAMPLES / f"{example}.yaml"), "--out", str(out), *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (out / example).iterdir()
    return load(run_dir)


@pytest.fixture(scope="module")
def centralized(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return _run("centralized", tmp_path_factory)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return _run("hybrid", tmp_path_factory)


def _away(run: RunData) -> tuple[float, float]:
    """Return when the controller was killed and when it was back."""
    rows = run.faults.set_index("event")["time_s"]
    return rows["begin"], rows["end"]


def _in(rows: pd.DataFrame, begin_s: float, end_s: float) -> pd.DataFrame:
    return rows[rows["time_s"].between(begin_s, end_s)]


def _messages(run: RunData, direction: str, kind: str) -> dict[str, int]:
    """Return how many messages each node sent or received."""
    rows = run.control[(run.control["direction"] == direction) & (run.control["kind"] == kind)]
    last = rows.astype({"node": str, "peer": str}).groupby(["node", "peer"])["messages"].max()
    return last.groupby("node").sum().astype(int).to_dict()


def _served(run: RunData, begin_s: float, end_s: float) -> float:
    flows = run.flows[run.flows["started_s"].between(begin_s, end_s)]
    assert len(flows) > 50
    return float((flows["outcome"] == "ok").mean())


def test_in_the_centralized_mode_the_controller_alone_is_told_and_ingresses_follow(centralized: RunData) -> None:
    assert [check.name for check in checks(centralized) if not check.ok] == []
    assert set(_messages(centralized, "received", "report")) == {CONTROLLER}
    assert set(_messages(centralized, "sent", "report")) == {f"dma@{site}" for site in (CONTROLLER, *INGRESSES)}
    assert set(_messages(centralized, "received", "ingress_status")) == {CONTROLLER}
    assert set(_messages(centralized, "received", "shares")) == set(INGRESSES)
    events = centralized.metrics.astype({"node": str, "event": str}).groupby("node")["event"].agg(set)
    assert "received" in events[CONTROLLER]
    for site in INGRESSES:
        assert "told" in events[site]
        assert "received" not in events[site]
    decisions = centralized.decisions.astype({"d_router": str, "egress": str})
    assert set(decisions["d_router"]) == set(INGRESSES)
    assert set(decisions["egress"]) == {CONTROLLER, *INGRESSES}  # no instance could carry the load of an ingress
    assert decisions["metrics_age_s"].min() > 0


def test_while_the_controller_is_away_ingresses_go_on_by_its_last_shares(centralized: RunData) -> None:
    killed_s, back_s = _away(centralized)
    decisions = centralized.decisions.astype({"d_router": str})
    meanwhile = _in(decisions, killed_s + INTERVAL_S, back_s)
    assert set(meanwhile["d_router"]) == set(INGRESSES)
    assert (meanwhile["metrics_age_s"] > meanwhile["time_s"] - killed_s).all()  # nothing newer can be behind them
    assert _served(centralized, killed_s, back_s) > 0.95
    assert "controller_lost" not in set(centralized.control["kind"].astype(str))
    told = centralized.metrics[centralized.metrics["event"] == "told"]
    assert len(_in(told, killed_s + INTERVAL_S, back_s)) == 0
    assert set(told[told["time_s"] > back_s]["node"].astype(str)) == set(INGRESSES)


def test_in_the_hybrid_mode_volatile_metrics_come_by_way_of_the_controller(hybrid: RunData) -> None:
    assert [check.name for check in checks(hybrid) if not check.ok] == []
    slow, volatile = (_messages(hybrid, "received", kind) for kind in ("report", "load_report"))
    assert set(slow) == {CONTROLLER, *INGRESSES}
    assert set(volatile) == {CONTROLLER}
    assert set(_messages(hybrid, "received", "loads")) == set(INGRESSES)
    agents = [f"dma@{site}" for site in (CONTROLLER, *INGRESSES)]
    sent_slow, sent_volatile = (_messages(hybrid, "sent", kind) for kind in ("report", "load_report"))
    assert all(sent_slow[agent] < sent_volatile[agent] for agent in agents)
    told = hybrid.metrics[hybrid.metrics["event"] == "told"].astype({"node": str})
    for site in INGRESSES:
        assert told[told["node"] == site]["sessions"].max() > 0
    killed_s, _ = _away(hybrid)
    made = hybrid.decisions[hybrid.decisions["time_s"] < killed_s]
    weighed = [item for text in made["candidates"] for item in json.loads(text)]
    assert max(item["sessions"] for item in weighed) > 0


def test_while_the_controller_is_away_ingresses_go_on_by_what_else_they_know(hybrid: RunData) -> None:
    killed_s, back_s = _away(hybrid)
    decisions = hybrid.decisions.astype({"d_router": str})
    assert set(_in(decisions, killed_s + INTERVAL_S, back_s)["d_router"]) == set(INGRESSES)
    assert _served(hybrid, killed_s, back_s) > 0.95
    told = hybrid.metrics[hybrid.metrics["event"] == "told"]
    assert len(_in(told[told["node"] != CONTROLLER], killed_s + INTERVAL_S, back_s)) == 0
    assert len(told[told["time_s"] > back_s]) > 0
