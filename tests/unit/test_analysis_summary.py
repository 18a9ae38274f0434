from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from testbed.analysis.attribution import affinity_violations, seen_flows
from testbed.analysis.checks import checks
from testbed.analysis.comparison import labels, measures
from testbed.analysis.load import RunData, load
from testbed.analysis.summary import Summary, streams, summarise
from testbed.analysis.tables import comparison_table, print_summary
from tests.analysis_data import Row, write_run, write_tables

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


def test_outcomes_and_completion_of_a_service(tmp_path: Path) -> None:
    row = only(summary_of(tmp_path, flows=FLOWS, affinity=SEEN).services, service="web")
    assert [row[name] for name in ("offered", "ok", "refused", "timeout", "interrupted", "failed")] == [
        7,
        3,
        1,
        1,
        1,
        1,
    ]
    assert row["completion_mean_ms"] == pytest.approx(30.0)
    assert row["completion_p50_ms"] == pytest.approx(20.0)
    assert row["completion_p95_ms"] == pytest.approx(20.0 + 0.9 * 40.0)  # linear between the 2nd and the 3rd
    assert row["completion_p99_ms"] == pytest.approx(20.0 + 0.98 * 40.0)
    assert row["connect_mean_ms"] == pytest.approx(4.0)


def test_instances_and_sites(tmp_path: Path) -> None:
    def sample(time_s: float, instance: str, utilisation: float, queue_length: int) -> Row:
        return {
            "time_s": time_s,
            "instance": instance,
            "utilisation": utilisation,
            "queue_length": queue_length,
            "completed": 9,
            "refused": 9,
        }

    summary = summary_of(
        tmp_path,
        flows=FLOWS,
        affinity=SEEN,
        instances=[
            sample(99.0, "a@x", 1.0, 50),  # before the workloads began: does not count
            sample(101.0, "a@x", 0.2, 0),
            sample(102.0, "a@x", 0.4, 4),
            sample(101.0, "b@y", 0.8, 1),
            sample(101.0, "c@y", 0.4, 0),
            sample(110.5, "c@y", 1.0, 9),  # after they ended
        ],
    )
    a, b, c = (only(summary.instances, instance=name) for name in ("a@x", "b@y", "c@y"))
    assert [a["flows"], b["flows"], c["flows"]] == [2, 2, 0]
    assert [a["share"], b["share"], c["share"]] == [0.5, 0.5, 0.0]
    assert [a["refused"], b["refused"], c["refused"]] == [0, 1, 0]
    assert [a["utilisation"], b["utilisation"], c["utilisation"]] == pytest.approx([0.3, 0.8, 0.4])
    assert (a["queue_mean"], a["queue_max"]) == (2.0, 4.0)
    y = only(summary.sites, site="y")
    assert (y["instances"], y["flows"], y["share"], y["refused"]) == (2, 2, 0.5, 1)
    assert y["utilisation"] == pytest.approx((3 * 0.8 + 1 * 0.4) / 4)


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


RTP_TABLES: dict[str, list[Row]] = {
    "flows": [call(0, 100, 98), call(1, 300, 300), call(2, 100, 0)],  # the last one never came back
    "rtp": [
        heard("f0", "echo", 99, 98, 1.0, 10.0),  # the last packet is lost, too: RFC 3550 cannot see that
        heard("f1", "echo", 300, 300, 3.0, 20.0),
        heard("", "up", 100, 99, 0.5, 5.0),
    ],
    "affinity": [saw(number, "v@x", service="voice", proto="udp", dst_port=5004) for number in (0, 1, 2)],
}


def test_rtp_quality(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, **RTP_TABLES)
    echo = only(summary.rtp, service="voice", direction="echo")
    assert (echo["streams"], echo["silent"], echo["packets"]) == (3, 1, 500)
    assert echo["loss_percent"] == pytest.approx(100 * (2 + 100) / 500)
    assert echo["jitter_mean_ms"] == pytest.approx(2.0)
    assert echo["jitter_p95_ms"] == pytest.approx(1.0 + 0.95 * 2.0)
    assert echo["delay_mean_ms"] == pytest.approx((98 * 10.0 + 300 * 20.0) / 398)
    assert echo["delay_p95_ms"] == pytest.approx((98 * 20.0 + 300 * 40.0) / 398)
    up = only(summary.rtp, direction="up")
    assert (up["service"], up["streams"], up["loss_percent"]) == ("voice", 1, pytest.approx(1.0))


def test_a_call_is_served_by_the_instance_that_saw_it(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, **RTP_TABLES)
    assert only(summary.instances, instance="v@x")["flows"] == 3
    assert math.isnan(only(summary.services, service="voice")["completion_mean_ms"])  # type: ignore[arg-type]
    assert failed(summary) == {}


def test_signalling_is_what_was_sent_while_workloads_ran(tmp_path: Path) -> None:
    def sample(time_s: float, direction: str, kind: str, messages: int, peer: str = "y") -> Row:
        counts = {"messages": messages, "bytes": 100 * messages}
        return {"time_s": time_s, "node": "x", "direction": direction, "peer": peer, "kind": kind, **counts}

    summary = summary_of(
        tmp_path,
        control=[
            sample(98.0, "sent", "report", 3),
            sample(99.9, "sent", "report", 5),
            sample(105.0, "sent", "report", 9),
            sample(109.9, "sent", "report", 15),
            sample(112.0, "sent", "report", 99),
            sample(109.0, "sent", "report", 2, peer="z"),
            sample(109.0, "received", "any", 1000),
            sample(109.0, "sent", "hello", 1),
        ],
    )
    report = only(summary.signalling, kind="report")
    assert (report["nodes"], report["messages"], report["bytes"]) == (1, 12, 1200)
    assert report["bytes_per_s"] == pytest.approx(120.0)
    assert only(summary.signalling, kind="hello")["messages"] == 1


def test_decisions_are_counted_per_d_router(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"time_s": 101.0, "d_router": node, "metrics_age_s": age_s}
        for node, age_s in (("x", 0.2), ("x", 0.4), ("y", ""))
    ]
    summary = summary_of(tmp_path, decisions=rows)
    x = only(summary.decisions, d_router="x")
    assert (x["decisions"], x["metrics_age_mean_s"]) == (2, pytest.approx(0.3))
    assert only(summary.decisions, d_router="y")["decisions"] == 1


def test_a_sound_run_passes_every_check(tmp_path: Path) -> None:
    assert failed(summary_of(tmp_path, flows=FLOWS, affinity=SEEN)) == {}


def test_a_flow_key_seen_by_two_instances_is_a_violation(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, flows=FLOWS, affinity=[*SEEN, saw(0, "b@y", first_s=100.3)])
    violation = only(summary.affinity_violations)
    assert (violation["src_port"], violation["instances"]) == (1000, "a@x, b@y")
    assert "1 by more than one instance" in failed(summary)["packets of one flow reach one instance"]


@pytest.mark.parametrize(
    ("lost", "violations"),
    [
        ({"event": "received", "d_bid": "10.2.0.10", "reason": "down", "time_s": 100.2}, 0),
        ({"event": "received", "d_bid": "10.2.0.10", "reason": "draining", "time_s": 100.2}, 1),
        ({"event": "expired", "d_bid": "10.2.0.10", "time_s": 100.2}, 0),
        ({"event": "path_lost", "source": "x", "time_s": 100.2}, 0),
        ({"event": "path_lost", "source": "x", "time_s": 100.4}, 1),  # the flow had moved before
        ({"event": "path_lost", "source": "y", "time_s": 100.2}, 1),
    ],
)
def test_a_flow_that_moves_when_its_instance_is_lost_is_no_violation(
    tmp_path: Path, lost: Row, violations: int
) -> None:
    instances = [{"name": "a@x", "site": "x", "d_bid": "10.2.0.10"}, {"name": "b@y", "site": "y", "d_bid": "10.3.0.10"}]
    tables = {"flows": FLOWS, "affinity": [*SEEN, saw(0, "b@y", first_s=100.3)], "metrics": [{"node": "z", **lost}]}
    summary = summarise(load(write_tables(tmp_path / "run", tables, {**MANIFEST, "instances": instances})))
    assert len(summary.affinity_violations) == violations
    check = next(check for check in summary.checks if check.name == "packets of one flow reach one instance")
    assert check.ok == (violations == 0)
    assert ("1 bound anew when their instance was lost" in check.detail) == check.ok


def test_a_port_that_is_used_again_is_another_flow(tmp_path: Path) -> None:
    again = flow(8, "ok", "b@y", src_port=1000, completion_ms=5.0)
    summary = summary_of(tmp_path, flows=[*FLOWS, again], affinity=[*SEEN, saw(8, "b@y", src_port=1000)])
    assert summary.affinity_violations.empty
    assert failed(summary) == {}


def test_rows_of_one_silent_then_speaking_stream_are_one_flow(tmp_path: Path) -> None:
    rows = [saw(0, "a@x"), saw(0, "a@x", first_s=140.0)]
    assert summary_of(tmp_path, flows=FLOWS[:1], affinity=rows).affinity_violations.empty


def test_a_stranger_s_flow_is_held_to_affinity_as_well(tmp_path: Path) -> None:
    stranger = {"src": "10.0.0.99", "src_port": 5}
    summary = summary_of(tmp_path, affinity=[saw(0, "a@x", **stranger), saw(1, "b@y", **stranger)])
    assert len(summary.affinity_violations) == 1


@pytest.mark.parametrize(
    ("tables", "name", "figure"),
    [
        ({"flows": [*FLOWS, flow(9, "")]}, "every flow offered has one outcome", "1 without an outcome, such as 'f9'"),
        ({"flows": [*FLOWS, FLOWS[4]]}, "flow ids are unique", "1 under an id already taken, such as 'f4'"),
        (
            {"affinity": SEEN[1:]},
            "every ok TCP flow was seen by the instance it names",
            "1 that no instance saw, such as 'f0'",
        ),
        (
            {"affinity": [saw(0, "b@y"), *SEEN[1:]]},
            "every ok TCP flow was seen by the instance it names",
            "1 seen by another instance than the one named, such as 'f0'",
        ),
        ({"affinity": SEEN[:3]}, "instances saw every TCP flow they answered", "b@y answered 2 and saw 1"),
        (
            {
                "instances": [
                    {
                        "time_s": 109.0,
                        "instance": "a@x",
                        "utilisation": 0,
                        "queue_length": 0,
                        "completed": 1,
                        "refused": 0,
                    }
                ]
            },
            "instances counted every answer that clients got",
            "a@x counts 1 completed, clients 2 ok",
        ),
        (
            {"flows": [*FLOWS, call(9, 5, 6)], "rtp": [heard("f9", "echo", 6, 6, 1.0, 1.0)]},
            "no RTP stream received more than was sent",
            "1 with more packets than were sent, such as 'f9'",
        ),
    ],
)
def test_a_check_fails_with_figure_and_example(
    tmp_path: Path, tables: dict[str, list[Row]], name: str, figure: str
) -> None:
    summary = summary_of(tmp_path, **{"flows": FLOWS, "affinity": SEEN, **tables})
    assert figure in failed(summary)[name]


def test_an_empty_run_has_an_empty_summary(tmp_path: Path) -> None:
    summary = summarise(load(write_tables(tmp_path / "run", {}, {})))
    frames = (summary.services, summary.sites, summary.instances, summary.rtp, summary.decisions, summary.signalling)
    assert all(frame.empty for frame in frames)
    assert failed(summary) == {}
    assert streams(summary.run).empty


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_violations_agree_with_a_plain_reckoning(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Few ports, many flows: whatever rows there are, each belongs to the last flow started on its port."""
    starts = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=8, unique=True))
    rows = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.sampled_from("ab")), max_size=12))
    run = load(
        write_tables(
            tmp_path_factory.mktemp("run") / "r",
            {
                "flows": [
                    {**flow(index, "ok"), "src_port": port, "started_s": float(at)}
                    for index, (port, at) in enumerate(starts)
                ],
                "affinity": [saw(0, name, src_port=port, first_s=at + 0.5) for port, at, name in rows],
            },
            {},
        )
    )
    instances: dict[tuple[int, int], set[str]] = {}
    for port, at, name in rows:
        flow_start = max((start for other, start in starts if other == port and start <= at), default=-1)
        instances.setdefault((port, flow_start), set()).add(name)
    assert len(affinity_violations(run, seen_flows(run))) == sum(len(names) > 1 for names in instances.values())


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunData]:
    root = tmp_path_factory.mktemp("results")
    suspect = {"verdict": "suspect", "reasons": ["relay late"]}
    return [
        load(write_run(root / "closest-1", duration_s=20.0)),
        load(write_run(root / "dyncast-1", policy="dyncast", duration_s=20.0, fidelity=suspect)),
    ]


def test_a_realistic_run_is_consistent(two_runs: list[RunData]) -> None:
    for run in two_runs:
        assert all(check.ok for check in checks(run)), checks(run)
        summary = summarise(run)
        assert summary.services["offered"].sum() == len(run.flows)
        assert summary.instances["flows"].sum() == len(run.flows)
        assert summary.instances["refused"].sum() == (run.flows["outcome"] == "refused").sum()


def test_measures_put_policies_side_by_side(two_runs: list[RunData]) -> None:
    found = {(measure.subject, measure.name): measure for measure in measures(two_runs)}
    mean = found["render", "completion, mean"]
    for run, value in zip(two_runs, mean.values, strict=True):
        ok = run.flows[(run.flows["kind"] == "http") & (run.flows["outcome"] == "ok")]
        assert value == pytest.approx(ok["completion_ms"].mean())
    assert mean.change is not None
    assert mean.change[0] == pytest.approx(100 * (mean.values[1] / mean.values[0] - 1))
    assert mean.change[1] == "%"
    refused = found["render", "refused"]
    assert refused.change == (refused.values[1] - refused.values[0], "points")
    for index in range(2):
        shares = [measure.values[index] for measure in found.values() if measure.subject == "share of flows"]
        assert sum(shares) == pytest.approx(100.0)


def test_runs_of_one_policy_are_told_apart(two_runs: list[RunData]) -> None:
    closest, dyncast = two_runs
    assert labels([closest, dyncast]) == ["closest", "dyncast"]
    assert labels([closest, closest]) == ["closest closest-1 (1)", "closest closest-1 (2)"]


def test_tables_print_figures_and_marks(two_runs: list[RunData]) -> None:
    console = Console(width=160, record=True, quiet=False, file=io.StringIO())
    print_summary(summarise(two_runs[1]), console)
    console.print(comparison_table(two_runs))
    console.print(comparison_table(two_runs[:1]))
    text = console.export_text()
    assert "SUSPECT: relay late" in text
    assert "9 of 9 consistency checks hold" in text
    assert "render-1@newyork" in text
    assert "dyncast against closest" in text
    assert f"{summarise(two_runs[0]).services.set_index('service').at['render', 'completion_mean_ms']:,.2f} ms" in text
