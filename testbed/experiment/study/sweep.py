"""A study carried out: its cases one after another, past those that fail, until all are done or somebody ends it.

Owns the order of things and what counts as a reason to stop. What a run is, the runner knows; what is done, the
study's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from testbed.experiment.execution import runner
from testbed.experiment.execution.run_folder import NoRoomError
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.progress import Progress
from testbed.experiment.study import study
from testbed.experiment.study.study import Case, Study
from testbed.experiment.study.study_folder import (
    MACHINE_LOCK,
    CaseRun,
    StudyFolder,
    SweepError,
    durations_s,
    finished,
    read_run,
)
from testbed.runtime.signals import signals_as_exit


class Spectator(Progress, Protocol):
    """What a sweep reports while it goes on, besides what its runs report."""

    def begins(self, number: int, of: int, case: Case, left_s: float) -> None:
        """Say which case begins, and how long all take from here on."""

    def ended(self, case: Case, run: CaseRun | None, error: str | None) -> None:
        """Say what became of a case: its run if it left a folder, and what went wrong."""


@dataclass(frozen=True)
class Failure:
    """A case whose run failed; `run_dir` is None if there was no folder for it."""

    case: Case
    error: str
    run_dir: Path | None


@dataclass(frozen=True)
class Outcome:
    """What a sweep came to: the finished runs of the study's cases by fingerprint, and what failed."""

    finished: Mapping[str, CaseRun]
    failures: tuple[Failure, ...]


def sweep(
    planned: Study,
    results: Path,
    spectator: Spectator,
    *,
    limit: int | None = None,
    draw: Callable[[Path], object] | None = None,
    run: Callable[..., Any] = runner.run,
    machine_lock: Path = MACHINE_LOCK,
) -> Outcome:
    """Run what is not done of a study, `limit` cases at most; `draw` is called with each finished run's folder.

    `run` is called as `runner.run` is. Raises SweepError if another sweep is at work or the folder cannot be written,
    NoRoomError if the disk is full, and KeyboardInterrupt or SystemExit when it is ended; finished runs stay.
    """
    folder = StudyFolder(results, planned)
    folder.make()
    with folder.locked(machine_lock), signals_as_exit():
        folder.describe()
        return _Sweep(planned, folder, spectator, draw, run).carry_out(limit)


class _Sweep:
    def __init__(
        self,
        planned: Study,
        folder: StudyFolder,
        spectator: Spectator,
        draw: Callable[[Path], object] | None,
        run: Callable[..., Any],
    ) -> None:
        self._study = planned
        self._folder = folder
        self._spectator = spectator
        self._draw = draw
        self._run = run
        self._runs = folder.latest_runs()
        self._failures: list[Failure] = []

    def carry_out(self, limit: int | None) -> Outcome:
        cases = study.left(self._study.cases, self._finished())[:limit]
        try:
            self._register()
            for number, case in enumerate(cases):
                left_s = study.estimate_s(cases[number:], study.overhead_s(durations_s(self._runs.values())))
                self._spectator.begins(number + 1, len(cases), case, left_s)
                self._register(running=case.fingerprint)
                self._attempt(case)
                self._register()
        except BaseException:
            with suppress(SweepError):  # a full disk must not hide why the sweep ends
                self._register()
            raise
        return Outcome(self._finished(), tuple(self._failures))

    def _attempt(self, case: Case) -> None:
        """Run a case; whatever goes wrong with it alone is noted, for the next case may do better."""
        before = set(self._folder.run_dirs(case))
        error: str | None = None
        try:
            self._carry_out(case)
        except NoRoomError:
            raise
        except Exception as problem:
            error = " ".join(str(problem).split()) or type(problem).__name__
        finally:
            run_dir = max(set(self._folder.run_dirs(case)) - before, default=None)
            run = read_run(run_dir) if run_dir else None
            if run is not None:
                self._runs[case.fingerprint] = run
        if error is not None:
            self._failures.append(Failure(case, error, run_dir))
        self._spectator.ended(case, run, error)

    def _carry_out(self, case: Case) -> None:
        plan = make_plan(case.scenario, case.source)
        document = self._folder.manifest_entry(case)
        done = self._run(plan, case.source, self._folder.runs, self._spectator, folder=case.name, case=document)
        if self._draw is not None:
            self._draw(done.run_dir)

    def _finished(self) -> dict[str, CaseRun]:
        return finished(self._study.cases, self._runs)

    def _register(self, running: str | None = None) -> None:
        errors = {failure.case.fingerprint: failure.error for failure in self._failures}
        self._folder.register(self._runs, errors, running)
