"""`dyncast bench`: how fast the testbed's parts are on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from testbed.benchmarks import registry
from testbed.benchmarks.harness import Settings


def _names(incomplete: str) -> list[str]:
    """Complete the name of a benchmark."""
    return [name for name in registry.NAMES if name.startswith(incomplete)]


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which ones; all unless named.", autocompletion=_names),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row, on standard output.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: 3 minutes in all.")] = False,
) -> None:
    """Measure how fast the testbed's parts are, each against a baseline in the same run (19 minutes in all).

    \b
    Examples:
      sudo ./dyncast bench --quick
      sudo ./dyncast bench staleness link --json
    """
    from testbed.benchmarks import runner

    raise typer.Exit(runner.run(names or [], Settings(quick=quick), as_json=as_json))


bench.__doc__ = f"{bench.__doc__}\n    \b\n    There are:\n      " + "\n      ".join(registry.NAMES)
