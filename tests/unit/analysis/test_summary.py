from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from testbed.analysis.dyncast.figures import of
from testbed.analysis.flows.consistency import checks
from testbed.analysis.measures import columns
from testbed.analysis.measures.columns import TitledFrame
from testbed.analysis.measures.comparison import labels, measures
from testbed.analysis.measures.summary import streams, summarise
from testbed.analysis.measures.terminal_tables import comparison_table, drawn, print_summary
from testbed.analysis.run_data.loading import RunData, load
from tests.analysis_data import Row, write_run, write_tables
from tests.small_run import FLOWS, SEEN, call, failed, heard, only, saw, summary_of


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
            sample(101.0, "sent", "share", 7),
            sample(104.0, "sent", "share", 2),  # the process came back, and counts from zero
            sample(106.0, "sent", "share", 3),
        ],
    )
    assert only(summary.signalling, kind="share")["messages"] == 7 + 3
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
    x = only(of(summary).decisions, d_router="x")
    assert (x["decisions"], x["metrics_age_mean_s"]) == (2, pytest.approx(0.3))
    assert only(of(summary).decisions, d_router="y")["decisions"] == 1


def test_an_empty_run_has_an_empty_summary(tmp_path: Path) -> None:
    summary = summarise(load(write_tables(tmp_path / "run", {}, {})))
    frames = (
        summary.services,
        summary.sites,
        summary.instances,
        summary.rtp,
        of(summary).decisions,
        summary.signalling,
    )
    assert all(frame.empty for frame in frames)
    assert failed(summary) == {}
    assert streams(summary.run).empty


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
    assert "11 of 11 consistency checks hold" in text
    assert "render-1@newyork" in text
    assert "dyncast against closest" in text
    assert f"{summarise(two_runs[0]).services.set_index('service').at['render', 'completion_mean_ms']:,.2f} ms" in text


def test_what_was_due_in_the_warm_up_does_not_count_but_is_checked(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", policy="dyncast")
    whole = summarise(load(run_dir))
    manifest = json.loads((run_dir / "manifest.json").read_text())
    (run_dir / "manifest.json").write_text(json.dumps({**manifest, "warm_up_s": 20.0}))
    run = load(run_dir)
    summary = summarise(run)

    counting = run.flows[run.flows["due_s"] >= run.start_s + 20.0]
    assert 0 < len(counting) < len(run.flows)
    assert summary.services["offered"].sum() == len(summary.flows) == len(counting)
    answered = counting[(counting["kind"] == "http") & (counting["outcome"] == "ok")]["completion_ms"]
    row = only(summary.services, kind="http")
    assert row["completion_mean_ms"] == pytest.approx(answered.mean())
    assert summary.instances["flows"].sum() == summary.flows["instance"].notna().sum()
    decided = run.decisions[run.decisions["time_s"] >= run.start_s + 20.0]
    assert of(summary).decisions["decisions"].sum() == len(decided)
    assert (of(summary).evaluation.decisions["time_s"] >= run.start_s + 20.0).all()
    assert (
        of(summary).evaluation.stability["dispersion"].to_list()
        != of(whole).evaluation.stability["dispersion"].to_list()
    )
    assert only(summary.rtp, direction="echo")["streams"] == (counting["kind"] == "rtp_audio").sum()
    up = run.rtp[(run.rtp["direction"] == "up") & (run.rtp["first_s"] >= run.start_s + 20.0)]
    assert only(summary.rtp, direction="up")["streams"] == len(up) > 0
    assert summary.checks == whole.checks

    printed = io.StringIO()
    print_summary(summary, Console(file=printed, width=140))
    assert "the first 20 not counted" in printed.getvalue()


def test_names_are_printed_in_one_piece_beside_long_headings() -> None:
    figures = dict.fromkeys(columns.FAULTS, 1.0)
    fault = {**figures, "fault": "instance_crash", "target": "render-1@middle"}
    table = drawn(TitledFrame("Faults", pd.DataFrame([fault]), columns.FAULTS))
    console = Console(width=120, file=io.StringIO())
    console.print(table)
    assert "instance_crash │ render-1@middle │" in console.file.getvalue()  # type: ignore[attr-defined]
