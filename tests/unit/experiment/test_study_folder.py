"""The folder of a study: what counts as done, whatever became of its files; its register; one sweep at a time."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.experiment.study import study
from testbed.experiment.study.study_folder import StudyFolder, SweepError, durations_s, finished, read_run
from tests.studies import write_run, write_study


@pytest.fixture
def planned(tmp_path: Path) -> study.Study:
    return study.load(write_study(tmp_path / "studies"))


@pytest.fixture
def folder(tmp_path: Path, planned: study.Study) -> StudyFolder:
    made = StudyFolder(tmp_path / "results", planned)
    made.make()
    return made


def _write(folder: StudyFolder, case: study.Case, run_id: str, **changes: Any) -> Path:
    run_dir = folder.runs / case.name / run_id
    write_run(run_dir, folder.manifest_entry(case), **changes)
    return run_dir


def test_a_finished_run_counts_wherever_its_case_lay_before(folder: StudyFolder, planned: study.Study) -> None:
    case = planned.cases[2]
    run_dir = folder.runs / "as it was called once" / "1"
    write_run(run_dir, folder.manifest_entry(case))
    assert {key: run.run_dir for key, run in folder.latest_runs().items()} == {case.fingerprint: run_dir}
    assert finished(planned.cases, folder.latest_runs()).keys() == {case.fingerprint}
    assert durations_s(folder.latest_runs().values()) == [(10.0, 4.0)]


def test_of_several_runs_of_a_case_the_latest_finished_one_counts(folder: StudyFolder, planned: study.Study) -> None:
    case = planned.cases[0]
    _write(folder, case, "1", begun_at="2026-01-01T00:00:01")
    latest = _write(folder, case, "2", begun_at="2026-01-01T00:00:02")
    _write(folder, case, "3", begun_at="2026-01-01T00:00:03", status="failed", error="it broke")
    assert folder.latest_runs()[case.fingerprint].run_dir == latest


def _cut(run_dir: Path) -> None:
    path = run_dir / "manifest.json"
    path.write_text(path.read_text()[:-40])


def _edit(**changes: Any) -> Callable[[Path], None]:
    def edit(run_dir: Path) -> None:
        path = run_dir / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    "spoil",
    [
        _cut,
        _edit(format=2),
        _edit(case=None),
        _edit(case={"fingerprint": "of another case"}),
        _edit(durations_s=None),
        _edit(status="running"),
        _edit(status="interrupted"),
        _edit(status=None),
        _edit(rows=None),
        lambda run_dir: (run_dir / "manifest.json").unlink(),
        lambda run_dir: (run_dir / "manifest.json").write_bytes(b"\xff\xfe"),
        lambda run_dir: (run_dir / "manifest.json").write_text("[]"),
        lambda run_dir: (run_dir / "flows.csv").unlink(),
    ],
)
def test_a_run_folder_that_is_spoilt_is_no_finished_run_and_no_trace(
    folder: StudyFolder, planned: study.Study, spoil: Callable[[Path], object]
) -> None:
    run_dir = _write(folder, planned.cases[0], "1")
    assert finished(planned.cases, folder.latest_runs())
    spoil(run_dir)
    assert not finished(planned.cases, folder.latest_runs())


def test_a_run_that_was_killed_is_called_interrupted(folder: StudyFolder, planned: study.Study) -> None:
    run = read_run(_write(folder, planned.cases[0], "1", status="running"))
    assert run is not None
    assert run.status == "interrupted"


def test_the_register_has_an_entry_per_case(folder: StudyFolder, planned: study.Study) -> None:
    done, failed, running, lost = planned.cases[:4]
    _write(folder, done, "1")
    _write(folder, failed, "1", status="failed", error="it broke")
    folder.register(folder.latest_runs(), {lost.fingerprint: "no room"}, running.fingerprint)
    document = json.loads((folder.path / "sweep.json").read_text())
    assert [entry["status"] for entry in document["cases"]] == [
        "finished", "failed", "running", "failed", "waiting", "waiting", "waiting", "waiting"
    ]  # fmt: skip
    assert document["cases"][0] == {
        "case": done.name,
        "settings": dict(done.settings),
        "seed": 1,
        "status": "finished",
        "run_dir": f"runs/{done.name}/1",
        "fingerprint": done.fingerprint,
        "seconds": 10.0,
        "verdict": "valid",
        "error": None,
    }
    assert [entry["error"] for entry in document["cases"][1:4]] == ["it broke", None, "no room"]


@pytest.mark.parametrize("content", ["", '{"format": 1, "cases": [', '{"format": 99}', "\0"])
def test_a_register_that_is_spoilt_or_of_another_version_is_made_anew_from_the_runs(
    folder: StudyFolder, planned: study.Study, content: str
) -> None:
    _write(folder, planned.cases[0], "1")
    (folder.path / "sweep.json").write_text(content)
    folder.register(folder.latest_runs(), {})
    assert json.loads((folder.path / "sweep.json").read_text())["cases"][0]["status"] == "finished"


def test_a_disk_that_fills_leaves_the_former_register_and_says_so(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.register({}, {})
    before = (folder.path / "sweep.json").read_text()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SweepError, match=r"sweep\.json.*No space left.*same command") as caught:
        folder.register({}, {}, "some case")
    assert "\n" not in str(caught.value)
    assert (folder.path / "sweep.json").read_text() == before
    assert {path.name for path in folder.path.iterdir()} == {"runs", "sweep.json"}


def test_a_file_in_place_of_the_folder(tmp_path: Path, planned: study.Study) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SweepError, match=r"taken.*--out"):
        StudyFolder(tmp_path / "taken", planned).make()


def test_the_study_is_kept_as_it_was_run_and_runs_from_there(
    tmp_path: Path, folder: StudyFolder, planned: study.Study
) -> None:
    folder.describe()
    document = yaml.safe_load((folder.path / "study.yaml").read_text())
    assert document["seeds"] == 2
    assert (folder.path / document["scenario"]).resolve() == tmp_path / "studies" / "small.yaml"
    again = study.load(folder.path / "study.yaml")
    assert [case.fingerprint for case in again.cases] == [case.fingerprint for case in planned.cases]


def test_one_sweep_at_a_time_on_a_machine_and_in_a_folder(tmp_path: Path, folder: StudyFolder) -> None:
    here, elsewhere = tmp_path / "machine.lock", tmp_path / "other-machine.lock"
    with folder.locked(here):
        with pytest.raises(SweepError, match=rf"runs on this machine \(process {os.getpid()}, .*loads\)"):
            folder.locked(here).__enter__()
        with pytest.raises(SweepError, match="works in this folder"):
            folder.locked(elsewhere).__enter__()
    with folder.locked(here):
        pass
