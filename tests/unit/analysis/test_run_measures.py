"""The measures of one run: flows of every kind are counted once, and with the service that they are of."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from testbed.analysis.measures.run_measures import measures, of_services
from testbed.analysis.run_data.loading import load
from tests.analysis_data import Row, write_run, write_tables
from tests.small_run import MANIFEST, call, flow


def test_every_flow_but_rtcp_is_offered_once(tmp_path: Path) -> None:
    rtcp: Row = {**call(9, 5, 5), "flow_id": "rtcp", "kind": "rtcp_audio", "src_port": 9}
    video: Row = {**call(8, 100, 100), "kind": "rtp_video"}
    outcomes = ("ok", "refused", "timeout", "reset", "interrupted")
    rows = [flow(number, outcome, completion_ms=5.0) for number, outcome in enumerate(outcomes)]
    table = of_services(
        load(write_tables(tmp_path / "run", {"flows": [*rows, call(7, 100, 90), video, rtcp]}, MANIFEST))
    )
    assert list(table.index) == ["voice", "web"]
    assert table["offered"].to_dict() == {"voice": 2, "web": 5}
    web = table.loc["web"]
    assert (web["refused_percent"], web["failed_percent"], web["unserved_percent"]) == (20.0, 40.0, 60.0)
    assert web["completion_mean_ms"] == 5.0
    assert math.isnan(web["rtp_loss_percent"])
    assert math.isnan(table.at["voice", "completion_mean_ms"])


def test_requests_of_several_kinds_are_told_apart(tmp_path: Path) -> None:
    rows = [flow(0, "ok", completion_ms=5.0), flow(1, "ok", completion_ms=9.0, kind="command")]
    table = of_services(load(write_tables(tmp_path / "run", {"flows": rows}, MANIFEST)))
    assert table["completion_mean_ms"].to_dict() == {"web (command)": 9.0, "web (http)": 5.0}


def test_a_run_without_flows_has_no_measures(tmp_path: Path) -> None:
    table = of_services(load(write_tables(tmp_path / "run", {}, {})))
    assert table.empty
    assert list(table.columns) == ["offered", *measures()]


def test_measures_of_a_whole_run_are_those_of_its_tables(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "run", duration_s=10.0, calls=5))
    table = of_services(run)
    ok = run.flows[(run.flows["service"] == "render") & (run.flows["outcome"] == "ok")]["completion_ms"]
    assert table.at["render", "completion_p95_ms"] == pytest.approx(sorted(ok)[round(0.95 * (len(ok) - 1))], rel=0.05)
    assert table["offered"].sum() == len(run.flows)
    echo = run.rtp[run.rtp["direction"] == "echo"]
    lost = 100 * echo["packets_lost"].sum() / echo["packets_expected"].sum()
    assert table.at["conference", "rtp_loss_percent"] == pytest.approx(lost)
    peers = 3 * 4  # each of four nodes to each other, 120 bytes per second
    assert table.at["render", "signalling_bytes_per_s"] == pytest.approx(peers * 120, rel=0.15)
