"""`dyncast trace`: a trace is made, shown, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.cli.app import run_command
from tests.trace_samples import COUNTS_NAME, counts_file, counts_text


def test_what_was_made_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["trace", "make", str(tmp_path), "--apps", "6", "--most-per-day", "2000", "--seed", "3"]) == 0
    made = capsys.readouterr().out.splitlines()
    assert made[0].startswith("6 apps with ") and [Path(path).is_file() for path in made[1:]] == [True] * 3
    assert run_command(["trace", "show", made[1], "--json", "--top", "2"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["format"] == "2019" and shown["apps"] <= 6 and len(shown["most_invoked"]) == 2
    assert all(row["median_ms"] > 0 and row["memory_mb"] > 0 for row in shown["most_invoked"])
    assert run_command(["trace", "show", made[1]]) == 0
    assert shown["most_invoked"][0]["function"][:12] in capsys.readouterr().out


def test_single_invocations_are_made_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run_command(["trace", "make", str(tmp_path), "--format", "2021", "--apps", "5", "--most-per-day", "900"]) == 0
    )
    path = capsys.readouterr().out.splitlines()[1]
    assert run_command(["trace", "show", path, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["format"] == "2021"
    assert shown["invocations"] == len(Path(path).read_text().splitlines()) - 1


def test_a_trace_without_the_files_beside_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = counts_file(tmp_path, {"aaaa1111": {1: 3}, "bbbb2222": {5: 1}})
    assert run_command(["trace", "show", str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["most_invoked"]
    assert [(row["function"], row["share"], row["median_ms"]) for row in rows] == [
        ("aaaa1111", 0.75, None),
        ("bbbb2222", 0.25, None),
    ]


def test_a_bad_trace_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / COUNTS_NAME
    path.write_text(counts_text({"aaaa1111": {1: 3}}).replace("http,3", "http,three"))
    assert run_command(["trace", "show", str(path)]) == 2
    assert capsys.readouterr().err == f"dyncast: {path} line 2: 1 must be a whole number >= 0, not 'three'\n"
    assert run_command(["trace", "show", str(tmp_path / "none.csv")]) == 2
    assert "No such file or directory; is the path right?" in capsys.readouterr().err
    assert run_command(["trace", "make", str(tmp_path)]) == 2
    assert "is there already; name another folder" in capsys.readouterr().err
