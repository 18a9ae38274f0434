"""Results of somebody else: opening them reads and writes nothing outside, takes no time without end, fails alone."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from testbed.analysis.run_data.loading import RunDataError, load
from testbed.cli.app import app
from testbed.errors import TestbedError
from testbed.records.manifest import NAME, ManifestError
from testbed.records.manifest import read as read_manifest
from tests.analysis_data import write_run

ROOT = Path(__file__).parents[3]
SECRET = "a secret of somebody else"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("whole") / "run", duration_s=5.0, requests_per_s=10.0, calls=1)


def dyncast(*arguments: str) -> str:
    """Return what a command says; it ends in its own words, if in an error then in an expected one."""
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit | TestbedError):
        raise result.exception
    return result.output


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [("report",), ("compare",), ("check",)], ids=" ".join)
def test_links_in_a_run_s_folder_lead_nowhere(command: tuple[str, ...], whole: Path, tmp_path: Path) -> None:
    run_dir, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(whole, run_dir)
    before_it = {*run_dir.rglob("*")}
    dyncast(*command, str(run_dir))
    written = [path for path in run_dir.rglob("*") if path.is_file() and path not in before_it]
    outside.mkdir()
    for path in (*written, run_dir / "scenario.yaml"):
        (outside / path.name).write_text(SECRET)
        path.unlink()
        path.symlink_to(outside / path.name)
    (run_dir / f"report.html.{os.getpid()}.part").symlink_to(outside / "part")  # a name that can be guessed
    before = tree(outside)
    dyncast(*command, str(run_dir))
    assert tree(outside) == before
    for path in run_dir.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("name", ["manifest.json", "flows.csv", "scenario.yaml", "topology.yaml", "measures.json"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(name: str, whole: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir)
    (run_dir / name).unlink(missing_ok=True)
    os.mkfifo(run_dir / name)
    for command in ("report", "compare", "check"):
        dyncast(command, str(run_dir))


@pytest.mark.parametrize(
    "change",
    [
        {"duration_s": 1e12},
        {"duration_s": float("inf")},
        {"duration_s": float("nan")},
        {"duration_s": -1.0},
        {"warm_up_s": -1e300},
        {"start_s": 1e300},
        {"instances": [{"name": "a", "workers": 10**9}]},
        {"instances": [{"name": "a", "workers": -1}]},
        {"instances": [{"name": "a", "speed": 0.0}]},
        {"instances": [{"name": "a", "queue_limit": 10**30}]},
    ],
    ids=str,
)
def test_a_manifest_that_no_run_has_is_refused(change: dict[str, object], whole: Path, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text(json.dumps({**json.loads((whole / NAME).read_text()), **change}))
    with pytest.raises(ManifestError, match=f"{NAME}: .* is .*, and in a run it is from"):
        read_manifest(path)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"seed": ' + "9" * 5000 + "}", "\xff", '{"a":' * 50_000])
def test_json_without_end_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError) as refused:
        read_manifest(path)
    assert "\n" not in str(refused.value)


def test_tables_without_a_duration_bound_the_time_all_the_same(whole: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir)
    document = json.loads((run_dir / NAME).read_text())
    (run_dir / NAME).write_text(json.dumps({**document, "duration_s": None}))
    load(run_dir)
    flows = (run_dir / "flows.csv").read_text().splitlines()
    header = flows[0].split(",")
    row = flows[1].split(",")
    row[header.index("finished_s")] = "1e300"
    (run_dir / "flows.csv").write_text("\n".join([flows[0], ",".join(row), *flows[2:], ""]))
    with pytest.raises(RunDataError, match="gives no duration"):
        load(run_dir)


def test_one_run_that_cannot_be_evaluated_does_not_fail_a_comparison(whole: Path, tmp_path: Path) -> None:
    for number in range(2):
        write_run(tmp_path / "study" / f"run-{number}", seed=number, duration_s=5.0, requests_per_s=10.0, calls=1)
    broken = tmp_path / "study" / "broken"
    shutil.copytree(whole, broken)
    (broken / "scenario.yaml").write_text("a: " * 3 + "&x [*x]")
    said = dyncast("compare", str(tmp_path / "study"))
    assert "left out" in said and "broken" in said and "runs.csv" in said


# Names by which a path is read or written; `testbed.records.result_files` has those that are safe.
UNSAFE = {"read_text", "write_text", "read_bytes", "write_bytes", "open", "touch", "rglob"}
SAFE = {"result_files", "os"}  # and descriptors


def _unsafe(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in UNSAFE:
            of = node.func.value
            if not (isinstance(of, ast.Name) and of.id in SAFE):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.func.attr}"


def test_the_analysis_opens_no_file_of_results_by_itself() -> None:
    found = [line for path in sorted((ROOT / "testbed" / "analysis").rglob("*.py")) for line in _unsafe(path)]
    assert found == []
