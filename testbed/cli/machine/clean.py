"""`dyncast clean`: the machine as it was before a run that could not end by itself."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from testbed.cli.options import CommandError, need_root
from testbed.terminal import console as terminal


def clean(
    everything: Annotated[
        bool, typer.Option("--all", help="Also runs that are, or may be, going on; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --all: do not ask.")] = False,
) -> None:
    """Remove what dead runs left behind: namespaces, links, bridges, processes. Nothing else is touched.

    A run of another container, whose end nothing here proves, is named and stays.

    \b
    Examples:
      sudo ./dyncast clean
      sudo ./dyncast clean --all
    """
    from testbed.emulation import cleanup

    need_root("clean")
    shown = terminal.output()
    if everything and not yes:
        _ask_about(cleanup.perhaps_alive())
    found = cleanup.clean(only_dead=not everything, progress=lambda text: shown.print(terminal.step(text)))
    for line in (*found.left, *found.problems):
        shown.print(line)
    shown.print(str(found))
    if found.problems:
        raise typer.Exit(1)


def _ask_about(runs: list[str]) -> None:
    """End the command unless somebody at the terminal agrees that these runs are removed."""
    if not runs:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{'; '.join(runs)}. To remove it all the same: dyncast clean --all --yes")
    for run in runs:
        terminal.output().print(run)
    typer.confirm("Remove it all?", abort=True)
