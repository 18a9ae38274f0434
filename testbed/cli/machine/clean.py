"""`dyncast clean`: the machine as it was before a run that could not end by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from testbed.cli import terminal
from testbed.cli.options import need_root


def clean(
    everything: Annotated[bool, typer.Option("--all", help="Also runs that are still going on.")] = False,
) -> None:
    """Remove what dead runs left behind: namespaces, links, bridges, processes. Nothing else is touched.

    \b
    Examples:
      sudo ./dyncast clean
      sudo ./dyncast clean --all
    """
    from testbed.emulation import cleanup

    need_root("clean")
    shown = terminal.output()
    found = cleanup.clean(only_dead=not everything, progress=lambda text: shown.print(f"[dim]·[/dim] {text}"))
    shown.print(str(found))
