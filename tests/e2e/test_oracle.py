"""A run under the policy `oracle`: every decision goes by what the instances are like, however old reports are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.analysis.measures.summary import summarise
from testbed.analysis.run_data.loading import load
from tests.machine import dyncast
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


def small_oracle() -> dict[str, Any]:
    document = small_document(policy="oracle", metrics={"interval_s": 3}, duration_s=6)
    document["clients"] = [{"site": "east"}, {"site": "middle"}]
    document["workloads"] = [
        {"name": "jobs", "service": "render", "clients": ["east", "middle"], "arrivals": {"rate_per_s": 25},
         "work": {"mean_ms": 80}},
        document["workloads"][1],
    ]  # fmt: skip
    return document


def test_each_decision_goes_by_the_state_of_the_moment(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small_oracle()))
    done = dyncast("run", str(path), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (tmp_path / "results" / "small").iterdir()
    assert set(json.loads((run_dir / "manifest.json").read_text())["steered_out_of_band"]) == {"render", "conference"}
    run = load(run_dir)
    assert [check for check in summarise(run).checks if not check.ok] == []
    decisions = run.decisions[run.decisions["service"] == "render"]
    assert (decisions["metrics_age_s"] == 0).all()

    # Held against the truth of the flow table: who had been sent and had no whole answer yet.
    flows = run.flows[run.flows["service"] == "render"]
    began = dict(zip(zip(decisions["src"], decisions["src_port"], strict=True), decisions["time_s"], strict=True))
    known = {item.name: item.d_bid for item in run.manifest.instances}
    spans = [
        (known[flow.instance], began[flow.src, flow.src_port], flow.finished_s)
        for flow in flows[flows["outcome"] == "ok"].itertuples()
    ]
    right = seen = 0
    for decision in decisions.itertuples():
        for item in json.loads(decision.candidates):
            now_s = decision.time_s
            ends_s = [end_s for d_bid, begin_s, end_s in spans if d_bid == item["d_bid"] and begin_s < now_s]
            most = sum(end_s > now_s for end_s in ends_s)
            least = sum(end_s - item["rtt_ms"] / 1e3 > now_s + 0.005 for end_s in ends_s)
            right += least - 1 <= item["expected"] <= most + 1
            seen += 1
    assert seen > 150
    assert right / seen > 0.9
