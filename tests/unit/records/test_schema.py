"""What is said of tables is said of all of them, and docs/tables.md says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed import analysis
from testbed.analysis.run_data.loading import load
from testbed.cli.machine.checkout import ROOT
from testbed.records.schema import NUMBER, SCHEMA, TEXT, WHOLE, WORD, as_markdown
from testbed.records.tables import TABLES
from tests.analysis_data import write_run


def test_every_column_is_described_in_its_place() -> None:
    assert {name: tuple(table.columns) for name, table in SCHEMA.items()} == dict(TABLES)
    for name, table in SCHEMA.items():
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
    assert page.read_text(encoding="utf-8") == as_markdown(), "write it anew: ./dyncast schema --tables >docs/tables.md"


def test_frames_have_the_types_that_are_documented(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "run"))
    for name, table in SCHEMA.items():
        frame = getattr(run, name)
        for column, item in table.columns.items():
            assert frame[column].dtype.name == item.dtype, (name, column)


def test_what_the_package_offers_is_there() -> None:
    for name in ("compare", "judge", "load", "load_study", "summarise"):
        assert callable(getattr(analysis, name))
        assert name in dir(analysis)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = analysis.lode
