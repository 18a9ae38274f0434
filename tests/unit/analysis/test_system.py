"""A system from elsewhere: its table, section, tile, picture and measure reach every reader by registration."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from testbed import systems
from testbed.analysis.html_report import files
from testbed.analysis.html_report.blocks.page import Block, Tile
from testbed.analysis.html_report.blocks.tabulate import table
from testbed.analysis.html_report.run.page import run_page
from testbed.analysis.html_report.run.report import RunReport
from testbed.analysis.measures.columns import TitledFrame
from testbed.analysis.measures.summary import Summary, summarise
from testbed.analysis.measures.terminal_tables import print_summary
from testbed.analysis.plots.plots import pictures
from testbed.analysis.run_data.loading import RunData, load
from testbed.analysis.study import study_figures
from testbed.analysis.system import Measure, ReportSection, SystemAnalysis
from testbed.records.columns import Table, number, word
from tests.analysis_data import Row, write_tables
from tests.study_runs import write_study_run

SHOWN = {"clock": ("clock", ""), "ticks": ("ticks", ",d")}


def _section(report: RunReport) -> Iterator[Block]:
    if not report.summary.of["clock"].empty:
        yield table("Ticks by clock", report.summary.of["clock"], SHOWN)


class Clock(SystemAnalysis):
    sections = (ReportSection(75, "clocks", "Clocks", _section),)
    pictures = {"ticks.png": lambda _, path: path.write_bytes(b"drawn")}
    measures = (Measure("ticks", "ticks of its clocks", "ticks", is_headline=True),)

    def figures(self, run: RunData) -> pd.DataFrame:
        return run.ticks.groupby("clock", observed=True).size().rename("ticks").reset_index()

    def tiles(self, summary: Summary) -> Iterable[Tile]:
        return [Tile(str(summary.of["clock"]["ticks"].sum()), "ticks")]

    def printed(self, summary: Summary) -> Iterable[TitledFrame]:
        return [TitledFrame("Clocks", summary.of["clock"], SHOWN)]

    def measured(self, run: RunData, subjects: pd.Index) -> pd.DataFrame:
        return pd.DataFrame({"ticks": float(len(run.ticks))}, index=subjects)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = Table("tick of a clock", {"time_s": number("s", "when", required=True), "clock": word("which")})
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))
    monkeypatch.setitem(sys.modules, "clock.tables", types.SimpleNamespace(TABLES={"ticks": ticks}))
    monkeypatch.setitem(sys.modules, "clock.analysis", types.SimpleNamespace(ANALYSIS=Clock()))
    systems.register("clock", tables="clock.tables", analysis="clock.analysis")


@pytest.fixture
def run(tmp_path: Path) -> RunData:
    ticks: list[Row] = [{"time_s": 5000.0 + second, "clock": "tower"} for second in range(7)]
    return load(write_tables(tmp_path / "run", {"ticks": ticks}, {"start_s": 5000.0, "duration_s": 10.0}))


def test_its_section_stands_where_it_says(run: RunData) -> None:
    page = run_page(summarise(run))
    titles = [section.title for section in page.sections]
    assert titles[:1] == ["Clocks"] and titles[-2:] == ["Checks and fidelity", "Scenario and manifest"]
    assert Tile("7", "ticks") in page.tiles
    written = files.write_run(summarise(run)).read_text()
    assert 'id="clocks"' in written and "Ticks by clock" in written and "tower" in written


def test_a_section_without_blocks_is_left_out(tmp_path: Path) -> None:
    page = run_page(summarise(load(write_tables(tmp_path / "run", {}, {}))))
    assert "Clocks" not in [section.title for section in page.sections]


def test_its_table_is_printed_and_its_picture_is_drawn(run: RunData, tmp_path: Path) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    print_summary(summarise(run), console)
    assert "Clocks" in (said := console.export_text()) and "tower" in said
    drawn = {picture.name: picture.path for picture in pictures(run, tmp_path)}
    assert drawn["ticks.png"] == tmp_path / "ticks.png"


def test_its_measure_is_compared_like_the_others(tmp_path: Path) -> None:
    for policy in ("closest", "dyncast"):
        write_study_run(tmp_path / policy, policy, 1, [50.0])
    figures = study_figures.load_study(tmp_path)
    compared = study_figures.compare(figures)
    assert set(compared.loc[compared["measure"] == "ticks", "mean"]) == {0.0}
    assert "ticks of its clocks" in files.write_study(tmp_path, figures).read_text()
