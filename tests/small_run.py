"""A run of a few requests, written by hand: what a summary and checks of it must say is plain to see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from testbed.analysis.measures.summary import Summary, summarise
from testbed.analysis.run_data.loading import load
from tests.analysis_data import Row, write_tables

MANIFEST = {
    "scenario": "hand",
    "policy": "dyncast",
    "start_s": 100.0,
    "duration_s": 10.0,
    "fidelity": {"verdict": "valid", "reasons": []},
    "instances": [
        {"name": "a@x", "service": "web", "site": "x", "workers": 1, "speed": 1.0},
        {"name": "b@y", "service": "web", "site": "y", "workers": 3, "speed": 1.0},
        {"name": "c@y", "service": "web", "site": "y", "workers": 1, "speed": 1.0},
    ],
}


def flow(number: int, outcome: str, instance: str = "", **more: object) -> Row:
    """One request of client 10.0.0.1, started at 100 + number s, from port 1000 + number."""
    return {
        "flow_id": f"f{number}",
        "workload": "jobs",
        "kind": "http",
        "service": "web",
        "client": "client",
        "ingress": "x",
        "instance": instance,
        "site": instance[-1:],
        "proto": "tcp",
        "src": "10.0.0.1",
        "src_port": 1000 + number,
        "dst_port": 80,
        "due_s": 100.0 + number,
        "started_s": 100.0 + number,
        "connected_s": 100.0 + number + 0.004,
        "finished_s": 100.5 + number,
        "outcome": outcome,
        **more,
    }


def saw(number: int, instance: str, **more: object) -> Row:
    """The row of the instance that saw `flow(number)`."""
    row: Row = {"instance": instance, "service": "web", "proto": "tcp", "src": "10.0.0.1", "src_port": 1000 + number}
    return {**row, "dst": "10.9.9.9", "dst_port": 80, "first_s": 100.002 + number, "last_s": 100.4 + number, **more}


def call(number: int, packets_sent: int, packets_received: int) -> Row:
    rtp = {"kind": "rtp_audio", "service": "voice", "proto": "udp", "dst_port": 5004, "workload": "calls"}
    return {**flow(number, "ok"), **rtp, "packets_sent": packets_sent, "packets_received": packets_received}


def heard(flow_id: str, direction: str, expected: int, received: int, jitter_ms: float, delay_ms: float) -> Row:
    return {
        "flow_id": flow_id,
        "receiver": "client" if direction == "echo" else "v@x",
        "direction": direction,
        "packets_expected": expected,
        "packets_received": received,
        "packets_lost": expected - received,
        "duplicates": 0,
        "jitter_ms": jitter_ms,
        "delay_mean_ms": delay_ms,
        "delay_p95_ms": 2 * delay_ms,
    }


FLOWS = [
    flow(0, "ok", "a@x", completion_ms=10.0),
    flow(1, "ok", "a@x", completion_ms=20.0),
    flow(2, "ok", "b@y", completion_ms=60.0),
    flow(3, "refused", "b@y"),
    flow(4, "timeout"),
    flow(5, "reset", connected_s=""),
    flow(6, "interrupted"),
]
SEEN = [saw(0, "a@x"), saw(1, "a@x"), saw(2, "b@y"), saw(3, "b@y")]


def summary_of(tmp_path: Path, **tables: list[Row]) -> Summary:
    return summarise(load(write_tables(tmp_path / "run", tables, MANIFEST)))


def only(frame: pd.DataFrame, **key: object) -> Mapping[str, object]:
    for column, value in key.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return dict(frame.iloc[0])


def failed(summary: Summary) -> dict[str, str]:
    return {check.name: check.detail for check in summary.checks if not check.ok}
