"""`dyncast run`: one scenario, run once, with its tables, pictures and report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.machine import calibrate
from testbed.cli.options import CommandError, Out, ScenarioPath, Seed, Settings, need_root, planned
from testbed.terminal import console as terminal


def run(
    scenario: ScenarioPath,
    out: Out = Path("results"),
    settings: Settings = [],
    seed: Seed = None,
    live: Annotated[bool, typer.Option("--live", help="Draw loads, flows and faults in the terminal.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Show them on a web page, for this machine alone.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the page; default: a free one.")] = None,
    shell: Annotated[
        bool, typer.Option("--debug-shell", help="If it fails: a shell in the network, which is removed when it ends.")
    ] = False,
) -> None:
    """Run a scenario and leave tables, pictures, a report and a manifest under results/<scenario>/<run-id>.

    \b
    Examples:
      sudo ./dyncast run docs/examples/first.yaml
      sudo ./dyncast run docs/examples/first.yaml --set policy=closest --seed 2
      sudo ./dyncast run docs/examples/faults.yaml --live --serve --port 8080
    """
    need_root("run")
    if port is not None and not serve:
        raise CommandError("--port goes with --serve")
    if shell and live:
        raise CommandError("--debug-shell needs the terminal for itself: watch the run with --serve instead of --live")
    from rich.text import Text

    from testbed.analysis.html_report import files
    from testbed.analysis.measures import terminal_tables
    from testbed.analysis.measures.summary import summarise
    from testbed.analysis.plots import plots
    from testbed.analysis.run_data.loading import load
    from testbed.emulation import debug_shell
    from testbed.experiment.execution import runner
    from testbed.experiment.live import watching

    plan = planned(scenario, settings, seed)
    calibrate.warn(plan, out, terminal.errors())
    shown = terminal.output()
    with watching.shown(plan, shown, live=live, port=(port or 0) if serve else None) as progress:
        look = partial(debug_shell.open_in, say=progress.phase) if shell else None
        with debug_shell.upon_failure(look):
            result = runner.run(plan, scenario, out, progress)
        progress.phase("drawing")
        data = load(result.run_dir)
        summary = summarise(data)
        terminal_tables.print_summary(summary, shown)
        plots.pictures(data, result.run_dir)
        files.write_run(summary)
    shown.print(Text(str(result.run_dir), "bold"))
