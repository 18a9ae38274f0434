"""Which calls of audio and video were split, and which of those should not have been."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from testbed.analysis.flows.consistency import Check, checks
from testbed.analysis.measures.summary import Summary, summarise
from testbed.analysis.measures.terminal_tables import print_summary
from testbed.analysis.run_data.loading import load
from tests.analysis_data import Row, write_tables

PARTS = ("audio", "audio-rtcp", "video", "video-rtcp")
FIVE_TUPLE = ["src", "dst", "proto", "src_port", "dst_port"]
BY_PORTS = {"flow_fields": FIVE_TUPLE, "port_block": 1}
BY_BLOCKS = {"flow_fields": FIVE_TUPLE, "port_block": 4}
BY_CLIENT = {"flow_fields": ["src", "dst", "proto"], "port_block": 1}


def call(number: int, *served_by: str) -> dict[str, list[Row]]:
    """A call of client 10.0.0.1 and who saw its flows; "" for nobody."""
    flows, seen = [], []
    for offset, (part, instance) in enumerate(zip(PARTS, served_by, strict=True)):
        key = {"service": "meeting", "proto": "udp", "src": "10.0.0.1", "src_port": 16384 + 4 * number + offset}
        key["dst_port"] = 5004 + offset
        kind = "rtcp" if "rtcp" in part else f"rtp_{part}"
        times = {"due_s": 100.0 + number, "started_s": 100.0 + number, "finished_s": 102.0 + number}
        flows.append(
            {"flow_id": f"calls/c/{number}/{part}", "call": f"calls/c/{number}", "workload": "calls", "kind": kind,
             "client": "c", "outcome": "ok" if instance else "no_answer", **key, **times}
        )  # fmt: skip
        if instance:
            seen.append({"instance": instance, **key, "first_s": 100.002 + number, "last_s": 102.0 + number})
    return {"flows": flows, "affinity": seen}


def summary_of(folder: Path, calls: list[dict[str, list[Row]]], **manifest: Any) -> Summary:
    tables = {table: [row for each in calls for row in each[table]] for table in ("flows", "affinity")}
    instances = [{"name": name, "service": "meeting", "site": name[-1], "workers": 1} for name in ("a@x", "b@y")]
    return summarise(load(write_tables(folder / "run", tables, {"start_s": 100.0, "instances": instances, **manifest})))


def of_calls(summary: Summary) -> Check:
    (check,) = (check for check in summary.checks if check.name == "calls that are one flow reach one instance")
    return check


WHOLE, SPLIT = call(0, *["a@x"] * 4), call(1, "a@x", "b@y", "a@x", "a@x")
LOST, HALF = call(2, "", "", "", ""), call(3, "b@y", "", "b@y", "")


def test_calls_are_counted_by_service(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, [WHOLE, SPLIT, LOST, HALF])
    (row,) = summary.calls.to_dict("records")
    assert row == {"service": "meeting", "calls": 4, "calls_lost": 1, "calls_split": 1, "split_percent": 25.0}


def test_the_table_is_printed(tmp_path: Path) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    print_summary(summary_of(tmp_path, [WHOLE, SPLIT]), console)
    assert "Calls of several streams" in console.export_text()


@pytest.mark.parametrize(
    ("service", "is_sound"), [(BY_PORTS, True), (BY_BLOCKS, False), (BY_CLIENT, False), ({}, True)]
)
def test_a_split_call_is_a_violation_where_it_is_one_flow(tmp_path: Path, service: Row, is_sound: bool) -> None:
    check = of_calls(summary_of(tmp_path, [WHOLE, SPLIT], services={"meeting": service}))
    assert check.ok is is_sound
    assert is_sound or "1 split, such as calls/c/1 over a@x, b@y" in check.detail


def test_a_call_may_move_when_its_instance_dies(tmp_path: Path) -> None:
    crash = {"number": 1, "kind": "instance_crash", "target": "a@x", "at_s": 1.0, "instance": "a@x"}
    assert of_calls(summary_of(tmp_path, [SPLIT], services={"meeting": BY_BLOCKS}, faults=[crash])).ok


def test_reports_of_streams_are_no_requests_and_no_streams(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, [WHOLE])
    assert sorted(summary.services["kind"]) == ["rtcp", "rtp_audio", "rtp_video"]
    assert summary.services["connect_mean_ms"].isna().all()
    assert summary.rtp["streams"].sum() == 2


def test_a_run_without_calls_has_none(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, [])
    assert summary.calls.empty
    assert all(check.ok for check in checks(summary.run))
