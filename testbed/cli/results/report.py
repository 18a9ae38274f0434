"""`dyncast report`: what a run or a study came to, from its files alone.

Owns the command's options and what it says; pages are `testbed.analysis.html_report`'s, pictures `plots`'.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.terminal import console as terminal

if TYPE_CHECKING:
    from rich.console import Console


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run, or of a study: runs lie below it.")],
    runs: Annotated[
        bool, typer.Option("--runs", help="Of a study: also write the report of each run, which its own links to.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="POLICY|FACTOR=VALUE", help="Of a study: compare with this, as `dyncast compare` does."),
    ] = None,
) -> None:
    """Write DIR/report.html, one file with everything in it, from the files of a run or a study alone.

    Of a run, its summary is printed and its pictures (PNG) are drawn again, too. Open the file in any browser: nothing
    in it comes from elsewhere, it follows light and dark, and it can be printed.

    \b
    Examples:
      dyncast report results/first/20260102-030405
      dyncast report results/policies-by-load --runs
    """
    from testbed.analysis.html_report import files

    out = terminal.output()
    if files.is_study(folder):
        _of_study(folder, runs, baseline, out)
    else:
        _of_run(folder, out)


def _of_run(run_dir: Path, out: Console) -> None:
    from testbed.analysis.html_report import files
    from testbed.analysis.measures import terminal_tables
    from testbed.analysis.measures.summary import summarise
    from testbed.analysis.plots import plots
    from testbed.analysis.run_data.loading import load

    summary = summarise(load(run_dir))
    terminal_tables.print_summary(summary, out)
    drawn = [picture.path for picture in plots.pictures(summary.run, run_dir) if picture.path]
    for path in (*drawn, files.write_run(summary)):
        out.print(str(path))


def _of_study(folder: Path, with_runs: bool, baseline: str | None, out: Console) -> None:
    from rich.progress import Progress

    from testbed.analysis.html_report import files

    err = terminal.errors()
    with Progress(console=err, transient=True, disable=not err.is_interactive) as progress:

        def counted(what: str) -> Callable[[int, int], None]:
            task = progress.add_task(what)
            return lambda done, of: progress.update(task, completed=done, total=of)

        figures = files.read_study(folder, counted("reading runs"))
        if with_runs:
            files.write_runs(figures, counted("reports of runs"))
        path = files.write_study(folder, figures, baseline)
    for line in figures.skipped:
        err.print(f"left out: {line}")
    out.print(str(path))
