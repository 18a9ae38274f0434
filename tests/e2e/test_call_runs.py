"""Calls of audio and video in whole runs: split where flows are 5-tuples, whole where a call is one flow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from testbed.analysis.measures.summary import Summary, summarise
from testbed.analysis.run_data.loading import RunData, load
from tests.machine import dyncast
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(280)]

_FLOWS_PER_CALL = 4


def run(scenario: Path, out: Path, *settings: str) -> RunData:
    changes = [word for setting in settings for word in ("--set", setting)]
    done = dyncast("run", str(scenario), "--out", str(out), *changes, timeout_s=250)
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (out / "calls").iterdir()
    return load(run_dir)


def of_service(summary: Summary, service: str) -> pd.Series:
    return summary.calls.set_index("service").loc[service]


def assert_sound(summary: Summary) -> None:
    assert [check for check in summary.checks if not check.ok] == []
    assert summary.calls["calls_lost"].sum() == 0


def test_by_blocks_of_ports_calls_stay_whole_and_by_five_tuple_they_are_split(tmp_path: Path) -> None:
    data = run(EXAMPLES / "calls.yaml", tmp_path, "duration_s=8")
    summary = summarise(data)
    assert_sound(summary)
    whole, parted = (of_service(summary, service) for service in ("meeting", "parted"))
    assert whole["calls"] > 5
    assert (whole["calls_split"], parted["calls_split"]) == (0, parted["calls"])  # round robin parts every call
    assert set(data.flows.groupby("call").size()) == {_FLOWS_PER_CALL}
    # What instances heard of a call, they know by its CNAME; what is split has its RTCP elsewhere.
    heard = data.rtp[(data.rtp["direction"] == "up") & data.rtp["receiver"].astype(str).str.startswith("meeting")]
    assert set(heard["call"]) == set(data.flows.loc[data.flows["service"] == "meeting", "call"])
    assert set(heard.groupby("call")["payload_type"].agg(frozenset)) == {frozenset({0, 96})}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reactive", "datapath"])
@pytest.mark.parametrize(
    "identified_by", [{"port_block": 4}, {"fields": ["src", "dst", "proto"]}], ids=["block of ports", "three-tuple"]
)
def test_of_a_thousand_calls_none_is_split_where_a_call_is_one_flow(
    tmp_path: Path, mode: str, identified_by: dict[str, object]
) -> None:
    document = yaml.safe_load((EXAMPLES / "calls.yaml").read_text(encoding="utf-8"))
    for service, affinity in (("meeting", identified_by), ("parted", {})):
        document["services"][service]["affinity"] = {"timeout_s": 10, "mode": mode, **affinity}
    for workload in document["workloads"]:
        workload["arrivals"] = {"process": "constant", "rate_per_s": 20}
        workload["call_duration"] = {"distribution": "constant", "mean_ms": 1000}
        workload["video_kbps"] = 100
    document["duration_s"] = 50
    path = tmp_path / "calls.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    summary = summarise(run(path, tmp_path / "results"))
    assert_sound(summary)
    whole, parted = (of_service(summary, service) for service in ("meeting", "parted"))
    assert whole["calls"] == parted["calls"] == 1000
    assert whole["calls_split"] == 0
    assert parted["calls_split"] > 800  # by lot seven in eight, in turns all
