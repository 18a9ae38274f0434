"""`dyncast compare`: many runs as one study, in a table, as CSV and in pictures.

Owns the command's options and what it says; the figures are worked out by `testbed.analysis.study.study_figures`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from testbed.terminal import console as terminal

_FOLDER = "comparison"
_WIDE = 160  # characters, where nobody's terminal says


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Run folders, or folders that runs lie in, at any depth.")
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY|FACTOR=VALUE",
            help="Compare with this: closest, metrics.interval_s=1; default: the study's baseline, closest, the first.",
        ),
    ] = None,
    only_valid: Annotated[
        bool, typer.Option("--only-valid", help="Leave out runs whose fidelity verdict is not valid.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder of what is written; default: {_FOLDER}/ in DIR, or where all DIRs lie."),
    ] = None,
) -> None:
    """Compare finished runs: means over seeds, 95 % confidence intervals, differences to a baseline, seed by seed.

    Runs of one seed had the same arrivals, so they are paired. What differs between the runs' scenarios beside policy
    and seed is a factor: policies are compared at equal factors, and values of a factor under equal policies. Writes
    runs.csv (a row per run and service), comparison.csv (a row per case, service, policy and measure) and a picture per
    service.

    \b
    Examples:
      dyncast compare results/policies-by-load
      dyncast compare results/first --baseline dyncast --only-valid
      dyncast compare results/sites --baseline "variant=two sites"
    """
    from rich.progress import Progress

    from testbed.analysis.study import export, study_figures, study_table

    shown = terminal.output(_WIDE)
    err = terminal.errors()
    # It has no thread of its own, for `read` forks.
    with Progress(console=err, transient=True, auto_refresh=False, disable=not err.is_interactive) as progress:
        task = progress.add_task("reading runs")

        def show(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of, refresh=True)

        figures = study_figures.read(folders, show)
    for line in figures.skipped:
        err.print(f"left out: {line}")
    if only_valid:
        all_runs, figures = figures.runs["run_dir"].nunique(), figures.only_valid()
        err.print(f"left out: {all_runs - figures.runs['run_dir'].nunique()} of {all_runs} runs that are not valid")
    if figures.runs.empty:
        err.print("dyncast: there is nothing to compare: no finished run is left")
        raise typer.Exit(1)
    table = study_figures.compare(figures, baseline)
    study_table.show(figures, table, shown)
    folder = out or Path(os.path.commonpath([folder.absolute() for folder in folders])) / _FOLDER
    try:
        written = export.write(figures, table, folder)
    except OSError as error:
        said = f"dyncast: {folder}: cannot be written: {error.strerror}; choose another place with --out"
        err.print(said)
        raise typer.Exit(1) from None
    for path in written:
        shown.print(str(path))
