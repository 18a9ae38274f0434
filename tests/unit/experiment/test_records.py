"""What a run makes of its processes' files: tables, live loads, verdicts."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.execution.collect import collect
from testbed.experiment.fidelity import fidelity
from testbed.experiment.live.instance_loads import InstanceLoads
from testbed.records.manifest import FidelityEntry
from testbed.records.parts import whole_rows
from testbed.records.tables import catalogue
from testbed.records.writer import RecordWriter
from tests.scenarios import small_plan


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_parts_become_tables_and_flows_are_completed(tmp_path: Path) -> None:
    work, run_dir = tmp_path / "work", tmp_path / "run"
    work.mkdir()
    run_dir.mkdir()
    flow = {"service": "conference", "client": "client-1@east", "proto": "udp", "src": "10.1.0.10", "src_port": 20000}
    with RecordWriter(work, "client-1@east") as client, RecordWriter(work, "conference-1@middle") as instance:
        client.write("flows", {**flow, "flow_id": "calls/1"})
        client.write("flows", {"service": "render", "client": "client-2@east", "instance": "render-1@east"})
        seen = {key: flow[key] for key in ("service", "proto", "src", "src_port")}
        instance.write("affinity", {**seen, "instance": "conference-1@middle"})
    counts = collect(work, run_dir, small_plan())
    assert counts["flows"] == 2 and counts["affinity"] == 1 and counts["faults"] == 0
    assert all((run_dir / f"{table}.csv").exists() for table in catalogue())
    rtp, http = _rows(run_dir / "flows.csv")
    assert (rtp["instance"], rtp["site"], rtp["ingress"]) == ("conference-1@middle", "middle", "east")
    assert (http["instance"], http["site"], http["ingress"]) == ("render-1@east", "east", "east")


def test_a_row_with_a_column_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, "p") as writer, pytest.raises(ValueError, match="colour"):
        writer.write("flows", {"colour": "red"})


def test_live_load_reads_whole_lines_only(tmp_path: Path) -> None:
    live = InstanceLoads(tmp_path, ["render-1@east"])
    assert live.read() == []
    with RecordWriter(tmp_path, "render-1@east") as writer:
        writer.write("instances", {"time_s": 1.0, "workers": 2, "busy_workers": 1, "queue_length": 0, "sessions": 1,
                                   "utilisation": 0.5, "completed": 5, "refused": 0})  # fmt: skip
        writer.write("instances", {"time_s": 1.5, "workers": 2, "busy_workers": 2, "queue_length": 3, "sessions": 5,
                                   "utilisation": 0.9, "completed": 6, "refused": 1})  # fmt: skip
        writer.flush()
        path = tmp_path / "instances.render-1@east.part.csv"
        with path.open("a", encoding="utf-8") as stream:
            stream.write("2.0,render-1@e")
        (load,) = live.read()
    assert (load.busy_workers, load.workers, load.queue_length, load.completed, load.refused) == (2, 2, 3, 6, 1)
    assert (load.sessions, load.utilisation, load.time_s) == (5, 0.9, 1.5)


def _assessed(**changes: Any) -> fidelity.Fidelity:
    sending = {"requested": 1000, "achieved": 1000, "lateness_ms": {"p99": 0.5}}
    links = {"lateness": {"p50_ms": 0.05, "p99_ms": 0.5},
             "links": {"a - b": {"a_to_b": {"packets": 1000, "dropped_overload": 0}}}}  # fmt: skip
    given: dict[str, Any] = {
        "generators": {"g/jobs": sending},
        "links": links,
        "switch_lost": 0,
        "cpu_share": 0.4,
        "steal_share": 0.0,
        "unclean": [],
    }
    return fidelity.assess(**{**given, **changes})


def test_a_good_run_is_valid() -> None:
    assert _assessed().as_entry() == FidelityEntry(
        verdict="valid",
        reasons=(),
        measured={
            "link_lateness_p50_ms": 0.05,
            "link_lateness_p99_ms": 0.5,
            "link_overload_share": 0.0,
            "switch_overload_share": 0.0,
            "generator_shortfall": 0.0,
            "generator_lateness_p99_ms": 0.5,
            "cpu_share": 0.4,
            "steal_share": 0.0,
        },
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "word"),
    [
        ({"links": {"lateness": {"p50_ms": 0.7, "p99_ms": 1.0}}}, "suspect", "half of the packets"),
        ({"links": {"lateness": {"p50_ms": 0.1, "p99_ms": 50.0}}}, "invalid", "1 % of packets"),
        ({"links": {"links": {"x": {"a_to_b": {"packets": 90, "dropped_overload": 10}}}}}, "invalid", "lost 10"),
        ({"generators": {"g": {"requested": 100, "achieved": 98, "lateness_ms": {"p99": 0.1}}}}, "suspect", "98.0%"),
        ({"generators": {"g": {"requested": 100, "achieved": 50, "lateness_ms": {"p99": 0.1}}}}, "invalid", "50.0%"),
        ({"generators": {"g": {"requested": 9, "achieved": 9, "lateness_ms": {"p99": 30.0}}}}, "invalid", "late"),
        ({"switch_lost": 2}, "suspect", "the switches lost 2 packets"),
        ({"switch_lost": None}, "suspect", "nothing says how many packets found no room"),
        ({"cpu_share": 0.99}, "suspect", "cores"),
        ({"steal_share": 0.5}, "suspect", "stolen"),
        ({"unclean": ["control@east (code 1)"]}, "invalid", "control@east"),
    ],
)
def test_each_figure_can_spoil_a_run(changes: dict[str, Any], verdict: str, word: str) -> None:
    assessed = _assessed(**changes)
    assert assessed.verdict == verdict
    assert word in assessed.reasons[0]


def test_links_without_the_relay_have_no_lateness_to_assess() -> None:
    assert _assessed(links={}).verdict == "valid"


def test_rows_are_read_whole_while_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "instances.render-1@east.part.csv"
    assert list(whole_rows(path)) == []  # nobody has begun
    path.write_text("time_s,instance\r\n1.0,render-1@east\r\n2.0,ren", newline="")
    assert [row["time_s"] for row in whole_rows(path)] == ["1.0"]


class _FilledLate(io.StringIO):
    """A table that is written right after its reader found it to be empty."""

    def __next__(self) -> str:
        line = self.readline()
        if not line:
            at = self.tell()
            self.write("time_s,instance\r\n1.0,render-1@east\r\n2.0,render-1@east\r\n")
            self.seek(at)
            raise StopIteration
        return line


def test_a_table_that_fills_while_it_is_read_takes_no_row_for_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda *_, **__: _FilledLate(newline=""))
    assert list(whole_rows(Path("instances.render-1@east.part.csv"))) == []
