"""Response times of invocations in their parts, from the files of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from testbed.analysis.alto import figures, response_picture, time_picture
from testbed.analysis.flows.fault_effects import effects
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.html_report.run.page import run_page
from testbed.analysis.measures import run_measures
from testbed.analysis.measures.summary import faults_of, summarise
from testbed.analysis.plots.style import NothingToDrawError
from testbed.analysis.run_data.loading import RunData, load
from testbed.records.manifest import ServiceEntry
from testbed.records.writer import RecordWriter
from tests.analysis_data import START_S, Row, write_run, write_tables

D_SID = "203.0.113.10"


@pytest.fixture
def run(tmp_path: Path) -> RunData:
    """A run with four invocations beside its flows: one cold, two warm, one that nobody answered."""
    folder = write_run(tmp_path / "run", duration_s=5, calls=0)
    with RecordWriter(tmp_path, "users") as records:
        for number, start in enumerate(("cold", "warm", "warm", None)):
            said = {} if start is None else _parts(start)
            common = {
                "flow_id": f"asks/{number}",
                "function": "render",
                "client": "client-1",
                "due_s": START_S + number,
            }
            records.write("activations", {**common, "cluster": "cluster@chicago", **said})
    (tmp_path / "activations.users.part.csv").rename(folder / "activations.csv")
    return load(folder)


def _parts(start: str) -> dict[str, object]:
    begun_ms = 50.0 if start == "cold" else 0.0
    parts = {"path_ms": 20.0, "wait_ms": 1.0, "start_ms": begun_ms, "init_ms": begun_ms / 2, "run_ms": 10.0}
    return {**parts, "response_ms": sum(parts.values()), "start": start}


def test_parts_are_means_by_function_cluster_and_start(run: RunData) -> None:
    table = figures.by_start(run).set_index("start")
    assert list(table["invocations"]) == [1, 2]
    assert table.loc["cold", ["path_ms", "start_ms", "init_ms", "run_ms"]].tolist() == [20, 50, 25, 10]
    assert table.loc["warm", "response_p95_ms"] == pytest.approx(31)
    assert (table["redirect_ms"] == 0).all(), "nobody was sent elsewhere"


def test_measures_are_those_of_functions_alone(run: RunData) -> None:
    measured = figures.measured(run, pd.Index(["render", "conference"]))
    assert measured.loc["render", "cold_percent"] == pytest.approx(100 / 3)
    assert measured.loc["render", "start_mean_ms"] == pytest.approx(25)
    assert measured.loc["conference"].isna().all()
    assert {"cold_percent", "path_mean_ms"} <= set(run_measures.of_services(run).columns)


def test_the_page_has_a_section_of_them(run: RunData) -> None:
    page = run_page(summarise(run))
    (section,) = [section for section in page.sections if section.anchor == "invocations"]
    assert len(section.blocks) == 2
    assert any("cold starts of 3" in tile.label for tile in page.tiles)


def test_deliveries_have_their_time_and_rate(run: RunData) -> None:
    row = {"digest": "sha256:0", "cluster": "cluster@chicago", "bytes": 3e6, "bytes_fetched": 1e6, "outcome": "done"}
    times = {"began_s": START_S - 4, "ended_s": START_S - 2}
    table = pd.DataFrame([{**row, **times}]).reindex(columns=run.deliveries.columns)
    found = figures.deliveries(RunData(run.run_dir, run.manifest, {**run.tables, "deliveries": table}))
    assert found.loc[0, ["at_s", "took_ms", "mbps"]].tolist() == pytest.approx([-4, 2000, 4])


def test_invocations_are_told_apart_by_the_way_to_their_cluster(run: RunData) -> None:
    asks = pd.concat([run.activations.iloc[[1]]] * 4, ignore_index=True)
    asks["flow_id"] = [f"asks/{number}" for number in range(4)]
    asks["redirects"], asks["redirect_ms"] = [0, 1, 1, 0], [None, 30.0, 40.0, None]
    flows = pd.DataFrame({"flow_id": asks["flow_id"], "dst": [D_SID, D_SID, "10.2.0.9", "10.2.0.9"]})
    flows = flows.reindex(columns=run.flows.columns)
    manifest = replace(run.manifest, services={"render": ServiceEntry(d_sid=D_SID)})
    found = figures.ways(RunData(run.run_dir, manifest, {**run.tables, "activations": asks, "flows": flows}))
    ways = found.set_index("way")
    assert set(ways["invocations"]) == {1}
    assert ways["redirect_ms"].to_dict() == {
        figures.STEERED: 0, figures.ASKED_AND_STEERED: 30, figures.REDIRECTED: 40, figures.ASKED: 0,
    }  # fmt: skip


def test_a_run_without_functions_has_none(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "run", duration_s=5, calls=0))
    page = run_page(summarise(run))
    assert "invocations" not in {section.anchor for section in page.sections}
    with pytest.raises(NothingToDrawError):
        response_picture.draw(run, tmp_path / "picture.png")


def test_the_picture_is_drawn(run: RunData, tmp_path: Path) -> None:
    response_picture.draw(run, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000


def _invoked(number: int, due_s: float, instance: str, outcome: str = "ok") -> Row:
    return {"flow_id": f"asks/{number}", "kind": "invoke", "service": "render", "client": "client-1", "due_s": due_s,
            "instance": instance, "outcome": outcome, "completion_ms": 30.0 if outcome == "ok" else None}  # fmt: skip


def _moving(folder: Path, clusters: int = 2) -> RunData:
    """A run of 20 s in which each cluster answers for a while; two invocations are answered by none."""
    flows = [_invoked(number, START_S + number, f"cluster@{number * clusters // 18:02}") for number in range(18)]
    flows += [_invoked(18, START_S + 18, "cluster@00", "timeout"), _invoked(19, START_S + 19, "", "error")]
    fault: Row = {"number": 0, "time_s": START_S + 9, "fault": "link_degraded", "target": "a - b", "event": "begin"}
    return load(write_tables(folder, {"flows": flows, "faults": [fault]}, {"start_s": START_S, "duration_s": 20.0}))


def test_invocations_end_at_the_cluster_that_answered_or_at_none(tmp_path: Path) -> None:
    ends = time_picture.ends(_moving(tmp_path / "run"))
    assert ends["where"].value_counts().to_dict() == {"cluster@00": 9, "cluster@01": 9, time_picture.NO_ANSWER: 2}
    assert ends["response_ms"].count() == 18
    many = time_picture.ends(_moving(tmp_path / "many", clusters=9))
    assert many["where"].nunique() == 8, "six clusters, all others, none"


def test_where_invocations_were_answered_is_drawn_over_time(tmp_path: Path) -> None:
    run = _moving(tmp_path / "run")
    time_picture.draw(run, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000
    figure = time_picture.sketched(Sketchbook(), time_picture.ends(run), TimeAxis.of(run, faults_of(run)))
    assert figure.title == "Where invocations were answered"
    for name in ("cluster@00", "cluster@01", time_picture.NO_ANSWER):
        assert name in figure.svg
    with pytest.raises(NothingToDrawError):
        time_picture.draw(load(write_run(tmp_path / "none", duration_s=5, calls=0)), tmp_path / "none.png")


def test_how_long_users_were_still_sent_to_what_a_fault_hit(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"time_s": START_S + at_s, "node": "cluster-client@east", "function": "render", "site": "east",
         "outcome": "redirected", "cluster": f"cluster@{where}"}
        for at_s, where in ((1, "near"), (5.5, "near"), (6, "far"), (7, "near"), (8, "far"))
    ]  # fmt: skip
    steps: list[Row] = [
        {"number": 0, "time_s": START_S + at_s, "fault": "link_degraded", "event": event}
        for at_s, event in ((5, "begin"), (6.5, "end"))
    ]
    fault = {"number": 0, "kind": "link_degraded", "target": "a - b", "reach": [["east", "cluster@near"]]}
    run = load(write_tables(tmp_path / "run", {"placements": rows, "faults": steps}, {"faults": [fault]}))
    (row,) = effects(run).to_dict("records")
    assert row["time_to_steer_away_s"] == pytest.approx(0.5)
