"""What is known of a run while it goes on, from files as its processes write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.live import documents
from testbed.experiment.live.flow_rates import HISTORY_S, FlowRates
from testbed.experiment.live.state import LiveReader, LiveState
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import InstanceLoad
from testbed.records.writer import RecordWriter
from tests.scenarios import small_document, small_plan

START_S = 1000.0
RENDER, CONFERENCE = "203.0.113.10", "203.0.113.11"


def _loads(time_s: float) -> list[InstanceLoad]:
    return [InstanceLoad("render-1@east", 1, 1, 3, 40, 2, 4, 0.75, time_s)]


def _read(plan: Plan, folder: Path, now_s: float) -> LiveState:
    reader = LiveReader(plan, folder, START_S)
    try:
        return reader.read(now_s, _loads(now_s))
    finally:
        reader.close()


def _flow(writer: RecordWriter, at_s: float, **more: Any) -> None:
    writer.write(
        "flows",
        {"client": "client-1@east", "d_sid": RENDER, "due_s": at_s - 0.05, "started_s": at_s - 0.049,
         "finished_s": at_s, "completion_ms": 50.0, "outcome": "ok", **more},
    )  # fmt: skip


def _service(plan_change: dict[str, Any], **document: Any) -> Plan:
    services = small_document()["services"]
    services["conference"] |= plan_change
    return small_plan(services=services, **document)


def test_answered_requests_say_where_they_went(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, "client-1@east") as writer:
        for number in range(8):
            site = "east" if number % 4 else "middle"
            _flow(writer, START_S + 1 + number / 4, instance=f"render-1@{site}")
        _flow(writer, START_S + 2.5, instance="render-1@east", outcome="refused")
        _flow(writer, START_S + 2.6, outcome="timeout")
    state = _read(small_plan(), tmp_path, START_S + 4.0)
    assert state.window.flows_per_s == {("east", "east"): 3.5, ("east", "middle"): 1.0}
    assert (state.window.ended_per_s, state.window.failed_per_s) == (5.0, 1.0)
    assert state.window.completion.quantile_ms(0.5) == pytest.approx(50, rel=0.05)
    assert state.outcomes == {"ok": 8, "refused": 1, "timeout": 1}
    assert [(second.ended, second.failed) for second in state.history.values()] == [(0, 0), (4, 0), (6, 2)]
    assert state.history[1].mean_ms == 50


def test_calls_are_counted_by_the_decision_of_their_ingress(tmp_path: Path) -> None:
    plan = small_plan()
    address = str(plan.addresses.host("client-2@east").ipv4.ip)
    d_bid = next(item.d_bid for item in plan.instances if item.service == "conference")
    with RecordWriter(tmp_path, "control@middle") as writer:  # whoever decides
        for number in range(4):
            writer.write("decisions", {"time_s": START_S + 2 + number / 8, "d_router": "middle", "d_sid": CONFERENCE,
                                       "src": address, "d_bid": d_bid, "egress": "middle"})  # fmt: skip
            writer.write("decisions", {"time_s": START_S + 2 + number / 8, "d_router": "middle", "d_sid": RENDER,
                                       "src": address, "egress": "middle"})  # fmt: skip
    assert _read(plan, tmp_path, START_S + 4.0).window.flows_per_s == {("east", "middle"): 2.0}


def test_of_a_service_steered_to_sites_the_choice_of_the_site_counts(tmp_path: Path) -> None:
    plan = _service({"steering": "tunnel", "choice": "site"})
    address = str(plan.addresses.host("client-1@east").ipv4.ip)
    with RecordWriter(tmp_path, "control@east") as writer:
        for d_router, d_bid in (("east", ""), ("middle", plan.instances[-1].d_bid)):
            writer.write("decisions", {"time_s": START_S + 2, "d_router": d_router, "d_sid": CONFERENCE,
                                       "src": address, "d_bid": d_bid, "egress": "middle"})  # fmt: skip
    assert _read(plan, tmp_path, START_S + 4.0).window.flows_per_s == {("east", "middle"): 0.5}


def test_calls_that_the_switch_binds_are_spread_by_its_weights(tmp_path: Path) -> None:
    instances = [*small_document()["instances"], {"service": "conference", "site": "east"}]
    plan = _service({"affinity": {"mode": "datapath"}}, instances=instances)
    at_middle, at_east = (item.d_bid for item in plan.instances if item.service == "conference")
    with RecordWriter(tmp_path, "control@east") as writer:
        for d_bid, weight in ((at_middle, 64), (at_middle, 16), (at_east, 48)):
            writer.write("weights", {"time_s": START_S, "d_router": "east", "d_sid": CONFERENCE,
                                     "d_bid": d_bid, "weight": weight})  # fmt: skip
    with RecordWriter(tmp_path, "client-1@east") as writer:
        for number in range(4):
            _flow(writer, START_S + 2 + number / 8, d_sid=CONFERENCE, completion_ms=None)
    state = _read(plan, tmp_path, START_S + 4.0)
    assert state.window.flows_per_s == {("east", "middle"): 0.5, ("east", "east"): 1.5}
    assert state.window.completion.quantile_ms(0.5) is None


def test_faults_have_their_times(tmp_path: Path) -> None:
    faults = [
        {"kind": "link_down", "link": ["middle", "Chicago"], "at_s": 1, "until_s": 2},
        {"kind": "instance_crash", "instance": "render-1@east", "at_s": 1.5},
        {"kind": "agent_silent", "site": "middle", "at_s": 3},
    ]
    with RecordWriter(tmp_path, "faults") as writer:
        for number, event, at_s in ((0, "begin", 1.01), (1, "begin", 1.52), (0, "end", 2.03)):
            writer.write("faults", {"number": number, "event": event, "time_s": START_S + at_s, "detail": "as asked"})
    state = _read(small_plan(faults=faults), tmp_path, START_S + 2.5)
    link, crash, silence = state.faults
    assert (link.began_s, link.ended_s, link.is_on) == (pytest.approx(1.01), pytest.approx(2.03), False)
    assert (crash.is_on, crash.remark, silence.began_s) == (True, "as asked", None)


def test_an_instance_that_wrote_nothing_of_late_does_not_run(tmp_path: Path) -> None:
    reader = LiveReader(small_plan(), tmp_path, START_S)
    assert reader.read(START_S + 1, _loads(START_S)).silent == {"render-1@middle", "conference-1@middle"}
    assert "render-1@east" in reader.read(START_S + 9, _loads(START_S)).silent
    reader.close()


def test_late_generators_are_doubted(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, "client-1@east") as writer:
        for number in range(50):
            due_s = START_S + 2 + number / 100
            _flow(writer, due_s, due_s=due_s - 0.1, started_s=due_s - 0.1 + 0.02, resolution_ms=5.0)
    (doubt, *_) = _read(small_plan(), tmp_path, START_S + 4.0).doubts
    assert doubt.startswith("generators begin 1 % of flows more than 15.")


def test_memory_is_bounded_by_the_window_and_the_history() -> None:
    rates = FlowRates(0.0)
    for second in range(1000):
        rates.steered(float(second), "a", "b")
        rates.ended(float(second), "ok", 1.0)
        rates.window(second + 1.0)
        assert len(rates.history(second + 1.0)) <= HISTORY_S
    assert len(rates._slots) < 10
    assert len(rates._seconds) <= HISTORY_S + 2


def test_documents_are_json_and_say_all_that_is_drawn(tmp_path: Path) -> None:
    plan = small_plan(faults=[{"kind": "link_down", "link": ["middle", "Chicago"], "at_s": 1}])
    network = json.loads(json.dumps(documents.network(plan)))
    assert {node["name"] for node in network["nodes"]} == {node.name for node in plan.topology.nodes}
    assert min(node["x"] for node in network["nodes"]) == 0 == min(node["y"] for node in network["nodes"])
    assert network["paths"]["east"]["middle"] == ["east", "New York", "Chicago", "middle"]
    assert network["faults"][0]["links"] == [["middle", "Chicago"]]
    state = json.loads(json.dumps(documents.state(_read(plan, tmp_path, START_S - 2))))
    assert state["elapsed_s"] == -2
    assert state["instances"]["render-1@east"]["queue"] == 3
    assert state["p50_ms"] is None


def test_hundreds_of_hosts_are_drawn_apart() -> None:
    crowd = [{"service": "render", "site": site, "count": 200} for site in ("east", "middle")]
    plan = small_plan(instances=[*small_document()["instances"], *crowd])
    nodes = documents.network(plan)["nodes"]
    assert len({(node["x"], node["y"]) for node in nodes}) > 0.99 * len(nodes) > 400
    assert [node["name"] for node in nodes if node["label"]] == ["east", "middle"]


def test_an_event_is_framed_as_browsers_read_it() -> None:
    assert documents.event("state", {"a": "b\nc"}) == b'event: state\ndata: {"a":"b\\nc"}\n\n'
