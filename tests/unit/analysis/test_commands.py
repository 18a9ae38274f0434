"""Runs with programs that others wrote: what of their tables can be held against each other."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from testbed.analysis.flows.attribution import affinity_violations, seen_flows
from testbed.analysis.measures.summary import summarise
from testbed.analysis.measures.terminal_tables import print_summary
from testbed.analysis.run_data.loading import RunDataError, load
from tests.analysis_data import Row, write_tables
from tests.small_run import FLOWS, MANIFEST, SEEN, failed, saw, summary_of

OF_COMMAND = {**MANIFEST, "services": {"web": {"kind": "command", "affinity_timeout_s": 30}}}


def _stranger(instance: str, first_s: float, last_s: float) -> Row:
    """A connection that no generator offered, always from the same port."""
    return saw(500, instance, first_s=first_s, last_s=last_s)


@pytest.mark.parametrize(("gap_s", "violations"), [(1.0, 1), (29.0, 1), (31.0, 0)])
def test_a_port_that_is_used_again_is_another_flow_once_its_binding_may_be_gone(
    tmp_path: Path, gap_s: float, violations: int
) -> None:
    rows = [_stranger("a@x", 100.0, 101.0), _stranger("b@y", 101.0 + gap_s, 140.0), _stranger("b@y", 150.0, 151.0)]
    run = load(write_tables(tmp_path / "run", {"affinity": rows}, OF_COMMAND))
    seen = seen_flows(run)
    assert (seen["flow"] < 0).all()
    assert len(affinity_violations(run, seen)) == violations


def test_flows_of_generators_keep_their_numbers(tmp_path: Path) -> None:
    rows = [*SEEN, _stranger("a@x", 100.0, 101.0)]
    run = load(write_tables(tmp_path / "run", {"flows": FLOWS, "affinity": rows}, OF_COMMAND))
    assert list(seen_flows(run)["flow"]) == [0, 1, 2, 3, -1]


def test_a_program_counts_connections_not_answers(tmp_path: Path) -> None:
    counters = [{"time_s": 109.0, "instance": "a@x", "service": "web", "site": "x", "workers": 1, "utilisation": 0.5,
                 "queue_length": 0, "completed": 0, "refused": 0}]  # fmt: skip
    name = "instances counted every answer that clients got"
    tables = {"flows": FLOWS, "affinity": SEEN, "instances": counters}
    assert name in failed(summary_of(tmp_path, **tables))
    of_command = summarise(load(write_tables(tmp_path / "command", tables, OF_COMMAND)))
    assert failed(of_command) == {}


def test_who_could_not_see_all_packets_is_left_out_and_named(tmp_path: Path) -> None:
    unseen = {
        "time_s": 109.0,
        "node": "a@x",
        "direction": "local",
        "kind": "flow_packets_unseen",
        "messages": 3,
        "bytes": 0,
    }
    name = "every ok TCP flow was seen by the instance it names"
    assert name in failed(summary_of(tmp_path, flows=FLOWS, affinity=SEEN[1:]))
    run = load(write_tables(tmp_path / "busy", {"flows": FLOWS, "affinity": SEEN[1:], "control": [unseen]}, MANIFEST))
    summary = summarise(run)
    assert failed(summary) == {}
    assert any("could not write down all (a@x)" in check.detail for check in summary.checks)


def test_what_commands_came_to_is_printed(tmp_path: Path) -> None:
    row = {"workload": "load", "service": "web", "client": "client-1@east", "outcome": "ok", "exit_code": 0,
           "figures": '{"requests": 10157, "latency_p99_ms": 29.1}'}  # fmt: skip
    run = load(
        write_tables(tmp_path / "run", {"commands": [row, {**row, "outcome": "failed", "figures": ""}]}, MANIFEST)
    )
    console = Console(width=160, record=True, file=io.StringIO())
    print_summary(summarise(run), console)
    said = console.export_text()
    assert "Commands at clients" in said and "requests: 10157, latency_p99_ms: 29.1" in said and "failed" in said


def test_a_run_from_before_there_were_commands_has_none(tmp_path: Path) -> None:
    rows = {"flows": len(FLOWS), **dict.fromkeys(("rtp", "decisions", "affinity", "faults"), 0)}
    run_dir = write_tables(tmp_path / "run", {"flows": FLOWS}, {**MANIFEST, "rows": rows})
    (run_dir / "commands.csv").unlink()
    assert load(run_dir).commands.empty
    (run_dir / "work").mkdir()
    (run_dir / "work" / "commands.load.part.csv").touch()
    with pytest.raises(RunDataError, match=r"commands.csv is missing: its parts were never merged"):
        load(run_dir)
