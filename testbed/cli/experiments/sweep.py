"""`dyncast sweep`: a study run case by case, with its plan and estimate before, and what came out after.

Owns the command's options and what it says. The cases are `testbed.experiment.study.study`'s, carrying them out is
`testbed.experiment.study.sweep`'s.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from testbed.terminal import console as terminal

if TYPE_CHECKING:
    from testbed.experiment.study.study import Study
    from testbed.experiment.study.study_folder import CaseRun, StudyFolder
    from testbed.experiment.study.sweep import Outcome


def sweep(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file, YAML.")],
    out: Annotated[Path, typer.Option(help="Folder for results.")] = Path("results"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cases and how long they take; touch nothing. Needs no root.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run N cases at most.")] = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Also draw the pictures of each run.")] = False,
) -> None:
    """Run a study: a scenario with each combination of a grid of keys, under each policy, with each seed.

    Runs go one after another, seed by seed, to results/<study>/runs/<case>/<run-id>. Ended or interrupted, the same
    command goes on: finished runs whose scenario, files and testbed are what they were are not run again, those that
    changed are, and no old run is ever removed. A run that fails is listed at the end.

    \b
    A study file names a scenario and what is varied in it (`dyncast schema --study` prints all keys):
      name: policies-by-load
      scenario: first.yaml              # beside the study
      grid: {workloads.0.arrivals.rate_per_s: [45, 90]}
      policies: \\[closest, dyncast]
      seeds: 3                          # 12 runs

    \b
    Examples:
      dyncast sweep docs/examples/studies/policies-by-load.yaml --dry-run
      sudo ./dyncast sweep docs/examples/studies/policies-by-load.yaml
      sudo ./dyncast sweep docs/examples/studies/policies-by-load.yaml --limit 2
    """
    from testbed.experiment.study import study
    from testbed.experiment.study.study_folder import StudyFolder, SweepError

    console = terminal.output()
    if not dry_run and os.geteuid() != 0:
        raise SweepError("sweep needs root for namespaces and Open vSwitch: start it with sudo; --dry-run does without")
    planned = study.load(study_file)
    folder = StudyFolder(out, planned)
    runs = folder.latest_runs()
    if dry_run:
        for number, case in enumerate(planned.cases, 1):
            state = runs[case.fingerprint].status if case.fingerprint in runs else "to do"
            console.print(Text.assemble(f"{number:4}  {case.name}  ", (state, "dim")))
    _say_plan(planned, runs, limit, console)
    if not dry_run:
        outcome = _carry_out(planned, folder, out, limit, pictures, console)
        _say_outcome(planned, folder, outcome, console)
        raise typer.Exit(1 if outcome.failures else 0)


def _carry_out(
    planned: Study, folder: StudyFolder, out: Path, limit: int | None, pictures: bool, console: Console
) -> Outcome:
    from testbed.experiment.execution.run_folder import NoRoomError
    from testbed.experiment.study import sweep
    from testbed.experiment.study.study_folder import finished
    from testbed.experiment.study.sweep_progress import SweepTerminal

    draw = None
    if pictures:
        from testbed.analysis.plots import plots

        draw = plots.report
    try:
        with SweepTerminal(console).showing() as terminal:
            return sweep.sweep(planned, out, terminal, limit=limit, draw=draw)
    except (KeyboardInterrupt, SystemExit, NoRoomError):
        done = finished(planned.cases, folder.latest_runs())
        console.print(
            f"ended early: {len(done)} of {len(planned.cases)} runs are done and stay; the same command goes on with "
            f"the rest: dyncast sweep {planned.path}"
        )
        raise


def _say_plan(planned: Study, runs: Mapping[str, CaseRun], limit: int | None, console: Console) -> None:
    from testbed.experiment.study import study
    from testbed.experiment.study.study_folder import durations_s, finished
    from testbed.experiment.study.sweep_progress import in_words

    keys = planned.keys
    axes = [f"{len(values)} of {key}" for key, values in keys.grid.items()]
    axes += [f"{len(keys.variants)} variants"] if keys.variants else []
    axes += [f"{len(keys.policies)} policies"] if keys.policies else []
    axes += [f"{len(keys.seed_list)} seeds"]
    done = finished(planned.cases, runs)
    to_do = study.left(planned.cases, done)[:limit]
    overhead_s = study.overhead_s(durations_s(runs.values()))
    spared = ", without what makes no difference" if keys.indifferent else ""
    console.print(
        f"{planned.path}: {len(planned.cases)} runs ({' x '.join(axes)}{spared}), "
        f"{len(done)} done, {len(to_do)} to do now: about {in_words(study.estimate_s(to_do, overhead_s))}, "
        f"{overhead_s:.0f} s for each beside its traffic"
    )
    others = sum(run.is_finished for run in runs.values()) - len(done)
    if others:
        console.print(f"{others} more finished runs are of other settings, files or versions of the testbed; they stay")
    if len({run.git_commit for run in done.values()}) > 1:
        console.print("The finished runs are of several commits of the testbed; with another --out all run with one")


def _say_outcome(planned: Study, folder: StudyFolder, outcome: Outcome, console: Console) -> None:
    verdicts = Counter(run.verdict or "unchecked" for run in outcome.finished.values())
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    done = f": {len(outcome.finished)} of {len(planned.cases)} runs are done{f' ({counted})' if counted else ''}"
    console.print(Text.assemble((str(folder.path), "bold"), done))
    for failure in outcome.failures:
        place = failure.run_dir or "no folder was made"
        said = f": {failure.case.name}: {terminal.one_line(failure.error)} ({place})"
        console.print(Text.assemble(("failed", "red"), said))
    if outcome.failures:
        console.print("The same command tries again what failed")
    elif outcome.finished:
        console.print(f"Next: dyncast compare {folder.path}")
