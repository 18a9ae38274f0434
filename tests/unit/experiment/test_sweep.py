"""Sweeps over runs that are only pretended: what is run, skipped, listed and kept, however it ends."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from testbed.experiment.execution.run_folder import NoRoomError
from testbed.experiment.study import study
from testbed.experiment.study.study_folder import SweepError
from testbed.experiment.study.sweep import Outcome, sweep
from testbed.experiment.study.sweep_progress import SweepTerminal, in_words
from tests.studies import RATE, PretendedRunner, write_study


class _Sweeps:
    """Sweeps of a study in one results folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.said = io.StringIO()

    def __call__(
        self, runner: PretendedRunner, *, limit: int | None = None, draw: Any = None, **changes: Any
    ) -> Outcome:
        planned = study.load(write_study(self._folder / "studies", **changes))
        terminal = SweepTerminal(Console(file=self.said, width=200))
        return sweep(
            planned, self._folder / "results", terminal,
            limit=limit, draw=draw, run=runner, machine_lock=self._folder / "lock",
        )  # fmt: skip

    def register(self) -> list[dict[str, Any]]:
        return json.loads((self._folder / "results" / "loads" / "sweep.json").read_text())["cases"]

    def statuses(self) -> list[str]:
        return [entry["status"] for entry in self.register()]

    def run_folders(self) -> set[Path]:
        return set((self._folder / "results" / "loads" / "runs").glob("*/*"))


@pytest.fixture
def sweeps(tmp_path: Path) -> _Sweeps:
    return _Sweeps(tmp_path)


def test_all_cases_run_once_and_a_second_sweep_runs_none(sweeps: _Sweeps) -> None:
    first, second = PretendedRunner(), PretendedRunner()
    assert len(sweeps(first).finished) == 8
    assert len(first.cases) == len(set(first.cases)) == 8
    assert sweeps.statuses() == ["finished"] * 8
    assert len(sweeps(second).finished) == 8
    assert second.cases == []


def test_what_is_told_as_it_goes_on(sweeps: _Sweeps) -> None:
    sweeps(PretendedRunner(), limit=2)
    lines = sweeps.said.getvalue().splitlines()
    assert lines[0].startswith("run 1 of 2, ")
    assert lines[0].endswith("left: rate_per_s=10,policy=closest,seed=1")
    assert lines[1] == "  finished in 10 s, valid"
    assert lines[2].startswith("run 2 of 2, 10 s left: ")  # by what the first one took


def test_a_limit_and_then_the_rest(sweeps: _Sweeps) -> None:
    first, second = PretendedRunner(), PretendedRunner()
    assert len(sweeps(first, limit=3).finished) == 3
    assert sweeps.statuses() == ["finished"] * 3 + ["waiting"] * 5
    sweeps(second)
    assert len(second.cases) == 5
    assert not set(first.cases) & set(second.cases)


def test_a_run_that_fails_is_passed_by_listed_and_tried_again(sweeps: _Sweeps) -> None:
    def fails(number: int) -> None:
        if number == 2:
            raise RuntimeError("agent x ended\nwith code 1")

    outcome = sweeps(PretendedRunner(fails))
    assert len(outcome.finished) == 7
    (failure,) = outcome.failures
    assert failure.error == "agent x ended with code 1"
    assert sweeps.statuses() == ["finished", "failed"] + ["finished"] * 6
    assert sweeps.register()[1]["error"] == "agent x ended with code 1"
    assert "failed: agent x ended with code 1" in sweeps.said.getvalue()
    again = PretendedRunner()
    assert not sweeps(again).failures
    assert again.cases == [failure.case.name]


def test_interrupted_and_resumed(sweeps: _Sweeps) -> None:
    def interrupted(number: int) -> None:
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweeps(PretendedRunner(interrupted))
    assert sweeps.statuses() == ["finished", "finished", "interrupted"] + ["waiting"] * 5
    before = sweeps.run_folders()
    rest = PretendedRunner()
    sweeps(rest)
    assert len(rest.cases) == 6
    assert sweeps.statuses() == ["finished"] * 8
    assert sweeps.run_folders() > before


def test_only_what_changed_runs_again_and_old_runs_stay(sweeps: _Sweeps) -> None:
    sweeps(PretendedRunner())
    before = sweeps.run_folders()
    more = PretendedRunner()
    sweeps(more, grid={RATE: [20, 30]}, seeds=3)
    assert sorted(more.cases) == sorted(
        f"rate_per_s={rate},policy={policy},seed={seed}"
        for rate, seed in ((20, 3), (30, 1), (30, 2), (30, 3))
        for policy in ("closest", "dyncast")
    )
    longer = PretendedRunner()
    sweeps(longer, set={"duration_s": 5})
    assert len(longer.cases) == 8
    assert sweeps.run_folders() > before
    assert len(sweeps.run_folders()) == 24
    back = PretendedRunner()
    sweeps(back)
    assert back.cases == []


def test_a_full_disk_ends_the_sweep_and_finished_runs_stay(sweeps: _Sweeps) -> None:
    def full(number: int) -> None:
        if number == 3:
            raise NoRoomError("results: 3 MiB free")

    with pytest.raises(NoRoomError):
        sweeps(PretendedRunner(full))
    assert sweeps.statuses() == ["finished", "finished"] + ["waiting"] * 6


def test_a_disk_that_fills_during_a_run_ends_the_sweep_where_nothing_can_be_written(
    sweeps: _Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fills(number: int) -> None:
        if number == 2:
            monkeypatch.setattr(os, "fsync", no_space)
            no_space(0)

    with pytest.raises(SweepError, match="No space left"):
        sweeps(PretendedRunner(fills))
    monkeypatch.undo()
    assert sweeps.statuses()[0] == "finished"
    rest = PretendedRunner()
    sweeps(rest)
    assert len(rest.cases) == 7


def test_pictures_are_drawn_of_each_finished_run_if_asked(sweeps: _Sweeps) -> None:
    drawn: list[Path] = []
    sweeps(PretendedRunner(), limit=2, draw=drawn.append)
    assert set(drawn) == sweeps.run_folders()


def test_the_manifest_of_a_run_says_its_case(sweeps: _Sweeps) -> None:
    sweeps(PretendedRunner(), limit=1)
    (run_dir,) = sweeps.run_folders()
    case = json.loads((run_dir / "manifest.json").read_text())["case"]
    assert case == {
        "study": "loads",
        "name": "rate_per_s=10,policy=closest,seed=1",
        "settings": {RATE: 10, "policy": "closest"},
        "fingerprint": sweeps.register()[0]["fingerprint"],
    }


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (1500, "25 min"), (5400, "1 h 30 min"), (7170, "2 h 0 min")],
)
def test_time_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
