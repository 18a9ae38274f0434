"""The catalogue of tables: each column described once, and docs/tables.md says it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from testbed import analysis, systems
from testbed.analysis import dyncast
from testbed.analysis.run_data.loading import RunDataError, load
from testbed.cli.machine.checkout import ROOT
from testbed.records.columns import NUMBER, TEXT, WHOLE, WORD, Table, number, word
from testbed.records.documentation import as_markdown
from testbed.records.tables import catalogue
from testbed.records.writer import RecordWriter
from tests.analysis_data import finish, write_run

TICKS = Table("tick of a clock", {"time_s": number("s", "when", required=True), "clock": word("which", required=True)})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system from elsewhere, with a table of its own."""
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))
    monkeypatch.setitem(sys.modules, "clock.tables", types.SimpleNamespace(TABLES={"ticks": TICKS}))
    systems.register("clock", tables="clock.tables")


def test_every_column_says_what_it_is() -> None:
    for name, table in catalogue().items():
        assert table.row, name
        for column, item in table.columns.items():
            assert item.meaning, (name, column)
            assert item.dtype in (WORD, TEXT, NUMBER, WHOLE)
            for suffix, unit in (
                ("_s", "s"),
                ("_ms", "ms"),
                ("_mbps", "Mbit/s"),
                ("_bytes", "byte"),
                ("_per_s", "1/s"),
            ):
                if column.endswith(suffix) and not column.endswith(f"_per{suffix}"):
                    assert item.unit == unit, (name, column)


def test_the_page_says_the_same() -> None:
    page = ROOT / "docs" / "tables.md"
    assert page.read_text(encoding="utf-8") == as_markdown(), "make it again: ./dyncast schema --tables >docs/tables.md"


def test_frames_have_the_types_that_are_documented(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "run"))
    for name, table in catalogue().items():
        frame = getattr(run, name)
        for column, item in table.columns.items():
            assert frame[column].dtype.name == item.dtype, (name, column)


@pytest.mark.usefixtures("clock")
def test_a_table_of_a_system_from_elsewhere_is_written_read_and_documented_like_the_others(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run")
    (run_dir / "ticks.csv").unlink()
    with RecordWriter(run_dir, "all") as writer:
        writer.write("ticks", {"time_s": 1.5, "clock": "tower"})
        with pytest.raises(ValueError, match="table ticks has no column tone"):
            writer.write("ticks", {"tone": "ding"})
    finish(run_dir)
    assert load(run_dir).ticks.to_dict("records") == [{"time_s": 1.5, "clock": "tower"}]
    (run_dir / "ticks.csv").write_text("time_s,clock\n1.5,\n")
    with pytest.raises(RunDataError, match="line 2 has no clock"):
        load(run_dir)
    assert "A row per tick of a clock. `clock` writes it." in as_markdown()


def test_a_run_from_before_a_system_was_there_has_none_of_its_rows(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rows = dict.fromkeys(catalogue(), 0)
    run_dir = write_run(tmp_path / "run", rows=rows)
    request.getfixturevalue("clock")
    run = load(run_dir)
    assert run.ticks.empty and list(run.ticks) == ["time_s", "clock"]


def test_a_name_of_no_table_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "run"))
    with pytest.raises(AttributeError, match="no 'flow'; its tables are flows, dns, rtp"):
        _ = run.flow


def test_two_owners_of_a_table_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))
    monkeypatch.setitem(sys.modules, "clock.tables", types.SimpleNamespace(TABLES={"flows": TICKS}))
    systems.register("clock", tables="clock.tables")
    with pytest.raises(ValueError, match="table 'flows' of clock is one of every run already"):
        catalogue()


def test_what_the_package_offers_is_there() -> None:
    for name in ("compare", "load", "load_study", "summarise"):
        assert callable(getattr(analysis, name))
        assert name in dir(analysis)
    assert callable(dyncast.evaluate)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = analysis.lode
    with pytest.raises(AttributeError, match="no attribute 'juge'"):
        _ = dyncast.juge
