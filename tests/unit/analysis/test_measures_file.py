"""measures.json is believed only while the run is what it was made from, and never stands in the way."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from testbed.analysis.run_data.loading import RunDataError
from testbed.analysis.study import measures_file
from testbed.analysis.study.measures_file import NAME, RunMeasures, read, read_each
from tests.study_runs import write_study_run


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_study_run(tmp_path / "run", completions_ms=(10.0, 20.0), calls=[(100, 90, 2.0)])


def _forbid(*_: object) -> RunMeasures:
    raise AssertionError("worked out again")


def _equal(one: RunMeasures, other: RunMeasures) -> bool:
    return repr(one) == repr(other)  # NaN is unequal to itself


def test_a_run_is_worked_out_once(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(run_dir)
    monkeypatch.setattr(measures_file, "_worked_out", _forbid)
    assert _equal(read(run_dir), first)
    assert [path.name for path in run_dir.iterdir() if "part" in path.name] == []


@pytest.mark.parametrize("name", ["flows.csv", "rtp.csv", "control.csv", "manifest.json", "scenario.yaml"])
def test_a_file_that_changed_since_is_read_again(run_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read(run_dir)
    status = (run_dir / name).stat()
    os.utime(run_dir / name, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    monkeypatch.setattr(measures_file, "_worked_out", _forbid)
    with pytest.raises(AssertionError, match="worked out again"):
        read(run_dir)


def test_a_table_that_is_gone_is_missed(run_dir: Path) -> None:
    read(run_dir)
    (run_dir / "faults.csv").unlink()
    with pytest.raises(RunDataError, match=r"faults\.csv is missing"):
        read(run_dir)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 0, "made_from": {}, "run": {}}',
        "FORMAT",
        "WITHOUT_A_MEASURE",
        "SERVICES_ARE_NO_TABLE",
    ],
)
def test_a_file_that_says_nothing_sound_is_made_anew(run_dir: Path, text: str) -> None:
    first = read(run_dir)
    document = json.loads((run_dir / NAME).read_text())
    if text == "FORMAT":
        text = json.dumps({**document, "format": document["format"] + 1})
    elif text == "WITHOUT_A_MEASURE":
        del document["run"]["services"]["web"]["completion_mean_ms"]
        text = json.dumps(document)
    elif text == "SERVICES_ARE_NO_TABLE":
        text = json.dumps({**document, "run": {**document["run"], "services": [1]}})
    (run_dir / NAME).write_text(text)
    assert _equal(read(run_dir), first)
    assert json.loads((run_dir / NAME).read_text())["format"] == measures_file._FORMAT


def test_a_folder_that_cannot_be_written_to_just_has_none(run_dir: Path) -> None:
    (run_dir / NAME).mkdir()  # so that it cannot be written, even by root
    before = {*run_dir.iterdir()}
    assert read(run_dir).services["web"]["completion_mean_ms"] == 15.0
    assert {*run_dir.iterdir()} == before


def test_a_run_that_changes_meanwhile_is_not_kept(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = measures_file._worked_out

    def slowly(folder: Path) -> RunMeasures:
        found = worked_out(folder)
        with (folder / "flows.csv").open("a") as stream:
            stream.write("\n")
        return found

    monkeypatch.setattr(measures_file, "_worked_out", slowly)
    read(run_dir)
    assert not (run_dir / NAME).exists()


def test_many_runs_are_read_in_order_by_several_processes(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    first = read(run_dir)
    run_dirs = [run_dir.with_name(f"{number:02}") for number in range(33)]
    for copy in run_dirs:
        shutil.copytree(run_dir, copy)  # with the times of the files, so that measures.json holds for them, too
    (run_dirs[7] / "flows.csv").unlink()
    outcomes = list(read_each(run_dirs))
    assert isinstance(outcomes[7], RunDataError)
    assert "07/flows.csv is missing" in str(outcomes[7])
    assert all(repr(outcome) == repr(first) for outcome in outcomes[:7] + outcomes[8:])


def test_the_format_is_raised_when_a_measure_changes(run_dir: Path) -> None:
    """What is kept of this run. If it changes, files on disk say something else: raise the format with it."""
    assert measures_file._FORMAT == 2
    web = read(run_dir).services["web"]
    assert {key: round(value, 6) for key, value in web.items() if value == value} == {
        "offered": 2.0,
        "completion_mean_ms": 15.0,
        "completion_p50_ms": 15.0,
        "completion_p95_ms": 19.5,
        "completion_p99_ms": 19.9,
        "refused_percent": 0.0,
        "failed_percent": 0.0,
        "unserved_percent": 0.0,
        "dispersion": 0.8,  # of ten seconds two have a flow: mean 0.2, variance 0.16
        "signalling_bytes_per_s": 120.0,
        "d_router_bindings": 0.0,
    }
    voice = read(run_dir).services["voice"]
    assert {key: round(value, 6) for key, value in voice.items() if value == value} == {
        "offered": 1.0,
        "refused_percent": 0.0,
        "failed_percent": 0.0,
        "unserved_percent": 0.0,
        "rtp_loss_percent": 10.0,
        "rtp_jitter_mean_ms": 2.0,
        "rtp_jitter_p95_ms": 2.0,
        "rtp_delay_mean_ms": 30.0,
        "rtp_delay_p95_ms": 60.0,
        "signalling_bytes_per_s": 120.0,
        "d_router_bindings": 0.0,
    }
