"""What faults did, from tables whose effects can be worked out by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.fault_effects import complete, effects
from testbed.analysis.measures.summary import summarise
from testbed.analysis.run_data.loading import load
from tests.analysis_data import Row, write_run, write_tables

AT_S = 110.0
EAST, WEST = "10.1.0.10", "10.2.0.10"
INSTANCES = [
    {"name": "render-1@east", "service": "render", "site": "east", "d_bid": EAST},
    {"name": "render-1@west", "service": "render", "site": "west", "d_bid": WEST},
]


def _fault(**changes: Any) -> dict[str, Any]:
    reach = [["east", "render-1@west"], ["west", "render-1@west"]]
    return {"number": 0, "kind": "instance_crash", "target": "render-1@west", "instance": "render-1@west",
            "reach": reach, **changes}  # fmt: skip


def _flow(number: int, started_s: float, finished_s: float, outcome: str, instance: str = "") -> Row:
    return {
        "flow_id": f"jobs/{number}", "workload": "jobs", "kind": "http", "service": "render", "client": "c",
        "src": EAST, "ingress": "east", "instance": instance, "proto": "tcp", "src_port": 1000 + number,
        "d_sid": "203.0.113.10", "dst_port": 80, "due_s": started_s, "started_s": started_s,
        "finished_s": finished_s, "outcome": outcome,
    }  # fmt: skip


def _decision(number: int, time_s: float, d_bid: str = WEST, d_router: str = "east") -> Row:
    return {"time_s": time_s, "d_router": d_router, "service": "render", "proto": "tcp", "src": EAST,
            "src_port": 1000 + number, "d_sid": "203.0.113.10", "dst_port": 80, "d_bid": d_bid}  # fmt: skip


def _event(time_s: float, event: str, *, node: str = "east", reason: str = "", **more: Any) -> Row:
    return {"time_s": time_s, "node": node, "event": event, "reason": reason, **more}


def _effect(tmp_path: Path, fault: dict[str, Any], end_s: float | None = None, **tables: list[Row]) -> dict[str, Any]:
    steps: list[Row] = [{"number": 0, "due_s": AT_S - 0.01, "time_s": AT_S, "fault": fault["kind"], "event": "begin"}]
    if end_s is not None:
        steps.append({**steps[0], "time_s": end_s, "event": "end"})
    manifest = {"start_s": 100.0, "duration_s": 60.0, "instances": INSTANCES, "faults": [fault]}
    run_dir = write_tables(tmp_path / "run", {"faults": steps, **tables}, manifest)
    (row,) = effects(load(run_dir)).to_dict("records")
    return row


def test_a_crash_is_detected_by_the_first_d_router_that_hears_of_it(tmp_path: Path) -> None:
    metrics = [
        _event(109.0, "received", d_bid=WEST, reason="down"),  # before
        _event(110.5, "received", d_bid=EAST, reason="down"),  # another instance
        _event(110.6, "received", d_bid=WEST),  # it is up, says a report that was under way
        _event(110.7, "sent", node="dma@west", d_bid=WEST, reason="down"),  # by no D-Router
        _event(111.25, "received", d_bid=WEST, reason="down"),
        _event(111.0, "received", node="west", d_bid=WEST, reason="down"),
    ]
    assert _effect(tmp_path, _fault(), metrics=metrics)["time_to_detect_s"] == pytest.approx(1.0)


def test_a_dead_path_is_detected_by_who_loses_it(tmp_path: Path) -> None:
    fault = _fault(kind="egress_unreachable", instance="", reach=[["east", "render-1@west"]])
    metrics = [
        _event(110.2, "received", node="east", d_bid=WEST, reason="down"),  # as it was before
        _event(110.4, "expired", node="west", source="west", d_bid=WEST),  # which has no path to lose
        _event(111.0, "path_lost", node="west", source="east"),  # of which no flow goes to west
        _event(112.0, "path_lost", node="east", source="west"),
        _event(113.0, "expired", node="east", source="west", d_bid=WEST),
    ]
    assert _effect(tmp_path, fault, metrics=metrics)["time_to_detect_s"] == pytest.approx(2.0)


def test_a_fault_that_nobody_knew_of_before_it_ended_was_not_detected(tmp_path: Path) -> None:
    late = [_event(115.0, "received", d_bid=WEST, reason="down")]
    assert _effect(tmp_path, _fault(), end_s=114.0, metrics=late)["time_to_detect_s"] is None


def test_a_start_is_detected_when_a_report_says_it_is_up(tmp_path: Path) -> None:
    metrics = [_event(110.5, "received", d_bid=WEST, reason="down"), _event(111.5, "received", d_bid=WEST)]
    effect = _effect(tmp_path, _fault(kind="instance_start"), metrics=metrics)
    assert effect["time_to_detect_s"] == pytest.approx(1.5)
    assert effect["flows_broken"] == 0


@pytest.mark.parametrize(
    ("kind", "more", "heard", "expected"),
    [
        ("instance_drain", {}, [("east", WEST, "draining", 0.5), ("west", WEST, "draining", 0.7)], 0.7),
        ("instance_drain", {}, [("east", WEST, "draining", 0.5), ("west", WEST, "", 0.7)], None),  # west: it is up
        ("instance_start", {}, [("east", WEST, "", 0.5), ("west", WEST, "down", 0.4), ("west", WEST, "", 1.5)], 1.5),
        ("migrate", {"to": "render-1@east"}, [("east", EAST, "", 0.1), ("west", EAST, "", 0.2),
                                              ("east", WEST, "draining", 0.9), ("west", WEST, "down", 3.0)], 3.0),
        ("migrate", {"to": "render-1@east"}, [("east", WEST, "draining", 0.9), ("west", WEST, "down", 3.0)], None),
        ("agent_silent", {"instance": "", "site": "west"}, [("east", WEST, "", 0.5)], None),
    ],
)  # fmt: skip
def test_all_are_told_when_the_last_d_router_hears(
    tmp_path: Path, kind: str, more: dict[str, Any], heard: list[tuple[str, str, str, float]], expected: float | None
) -> None:
    metrics = [
        _event(AT_S + after_s, "received", node=node, d_bid=d_bid, reason=reason)
        for node, d_bid, reason, after_s in heard
    ]
    told = _effect(tmp_path, _fault(kind=kind, **more), metrics=metrics)["time_to_tell_all_s"]
    assert told == (None if expected is None else pytest.approx(expected))


def test_an_ingress_that_hears_it_of_the_controller_is_told_too(tmp_path: Path) -> None:
    metrics = [
        _event(AT_S + 0.5, "received", node="west", d_bid=WEST, reason="draining"),
        _event(AT_S + 0.6, "told", node="east", d_bid=WEST),
        _event(AT_S + 0.8, "told", node="east", d_bid=WEST, reason="draining"),
    ]
    effect = _effect(tmp_path, _fault(kind="instance_drain"), metrics=metrics)
    assert effect["time_to_tell_all_s"] == pytest.approx(0.8)
    assert effect["time_to_detect_s"] == pytest.approx(0.5)


@pytest.mark.parametrize(("stopped_s", "broken"), [(120.0, 2), (111.0, 1), (None, 2)])
def test_a_migration_breaks_what_does_not_end_well_until_the_old_one_stops(
    tmp_path: Path, stopped_s: float | None, broken: int
) -> None:
    flows = [
        _flow(1, 109.5, 110.3, "reset", "render-1@west"),
        _flow(2, 115.0, 120.5, "reset", "render-1@west"),  # bound while it drained
        _flow(3, 121.0 if stopped_s else 108.0, 122.0, "ok", "render-1@west"),
    ]
    fault = _fault(kind="migrate", to="render-1@east")
    steps: list[Row] = [{"number": 0, "time_s": AT_S, "fault": "migrate", "event": "begin"}]
    if stopped_s is not None:
        steps.append({**steps[0], "time_s": stopped_s, "event": "stopped"})
    manifest = {"start_s": 100.0, "duration_s": 60.0, "instances": INSTANCES, "faults": [fault]}
    run_dir = write_tables(tmp_path / "run", {"faults": steps, "flows": flows}, manifest)
    (row,) = effects(load(run_dir)).to_dict("records")
    assert row["flows_broken"] == broken


def test_steered_away_after_the_last_decision_for_what_is_in_reach(tmp_path: Path) -> None:
    decisions = [
        _decision(1, 110.2), _decision(2, 110.9, d_router="west"), _decision(3, 112.0, d_bid=EAST), _decision(4, 116.0)
    ]  # fmt: skip
    assert _effect(tmp_path, _fault(), end_s=115.0, decisions=decisions)["time_to_steer_away_s"] == pytest.approx(0.9)


def test_nobody_chose_it_any_more(tmp_path: Path) -> None:
    decisions = [_decision(1, 109.9)]
    assert _effect(tmp_path, _fault(), decisions=decisions)["time_to_steer_away_s"] == 0.0


@pytest.mark.parametrize(("weight", "expected"), [(0, 3.0), (5, None)])
def test_a_switch_steers_away_when_its_weight_is_zero(tmp_path: Path, weight: int, expected: float | None) -> None:
    common: Row = {"d_router": "east", "service": "render", "d_sid": "203.0.113.10"}
    weights = [
        {**common, "time_s": time_s, "d_bid": d_bid, "weight": share}
        for time_s, shares in ((105.0, (32, 32)), (111.0, (44, 20)), (113.0, (64 - weight, weight)))
        for d_bid, share in zip((EAST, WEST), shares, strict=True)
    ]
    effect = _effect(tmp_path, _fault(), weights=weights)
    assert effect["time_to_steer_away_s"] == (None if expected is None else pytest.approx(expected))


def test_a_d_router_whose_control_process_was_killed_has_nobody_to_steer(tmp_path: Path) -> None:
    row: Row = {"d_router": "west", "service": "render", "d_sid": "203.0.113.10", "d_bid": WEST, "weight": 64}
    weights: list[Row] = [
        {**row, "time_s": 105.0},
        {**row, "d_router": "east", "time_s": 105.0},
        {**row, "d_router": "east", "time_s": 112.0, "weight": 0},
    ]
    fault = _fault(kind="control_killed", instance="", site="west")
    assert _effect(tmp_path, fault, weights=weights)["time_to_steer_away_s"] == pytest.approx(2.0)


def test_broken_are_the_flows_that_were_bound_there_and_did_not_end_well(tmp_path: Path) -> None:
    flows = [
        _flow(1, 109.0, 119.0, "timeout"),  # bound there by a decision; nobody lived to tell
        _flow(2, 109.0, 110.5, "ok", "render-1@west"),  # the answer was out in time
        _flow(3, 109.0, 119.0, "timeout"),  # bound elsewhere
        _flow(4, 108.0, 109.5, "reset", "render-1@west"),  # before
        _flow(5, 110.1, 119.0, "timeout"),  # not under way then
        _flow(6, 109.5, 110.3, "reset", "render-1@west"),
    ]
    decisions = [_decision(1, 109.02), _decision(3, 109.02, d_bid=EAST), _decision(5, 110.15)]
    assert _effect(tmp_path, _fault(), flows=flows, decisions=decisions)["flows_broken"] == 2


@pytest.mark.parametrize(("last_echo_s", "broken"), [(110.02, 1), (119.9, 0), (None, 1)])
def test_a_call_is_broken_that_hears_no_echo_any_more(tmp_path: Path, last_echo_s: float | None, broken: int) -> None:
    flow = {**_flow(1, 105.0, 120.0, "ok", "render-1@west"), "kind": "rtp_audio", "proto": "udp"}
    echo: Row = {"flow_id": "jobs/1", "receiver": "c", "direction": "echo", "last_s": last_echo_s}
    assert _effect(tmp_path, _fault(), flows=[flow], rtp=[echo])["flows_broken"] == broken


def test_the_table_is_completed_and_the_summary_shows_it(tmp_path: Path) -> None:
    metrics = [
        *(_event(111.0, "received", node=node, d_bid=WEST, reason="down") for node in ("east", "west")),
        *(_event(115.0, "received", node=node, d_bid=WEST) for node in ("east", "west")),
    ]
    _effect(tmp_path, _fault(), end_s=114.0, metrics=metrics, decisions=[_decision(1, 110.5)])
    run_dir = tmp_path / "run"
    complete(run_dir)
    with (run_dir / "faults.csv").open(newline="", encoding="utf-8") as stream:
        begin, end = csv.DictReader(stream)
    told = ("time_to_detect_s", "time_to_tell_all_s", "time_to_steer_away_s", "flows_broken")
    assert [begin[key] for key in told] == ["1.000000", "1.000000", "0.500000", "0"]
    assert [end[key] for key in told] == ["", "1.000000", "", ""]
    (shown,) = summarise(load(run_dir)).faults.to_dict("records")
    assert (shown["begin_s"], shown["end_s"], shown["flows_broken"]) == (10.0, 14.0, 0)


def test_a_run_whose_manifest_tells_of_no_faults_has_no_effects(tmp_path: Path) -> None:
    assert effects(load(write_run(tmp_path / "run", duration_s=20))).empty
