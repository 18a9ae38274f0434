"""`dyncast demo`: what the testbed is for, in two minutes; each system has one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.options import Out, Seed, need_root
from testbed.experiment import demonstration
from testbed.terminal import console as terminal

_ALL = demonstration.demonstrations()
_SYSTEM_HELP = (
    "Whose. " + ". ".join(f"{name}: {item.about}" for name, item in _ALL.items()) + f". Default: {next(iter(_ALL))}."
)


def demo(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]", help=_SYSTEM_HELP, show_default=False)] = None,
    out: Out = Path("results"),
    duration: Annotated[
        float | None, typer.Option(min=5, help="Seconds of traffic per policy; default: what each takes to be seen.")
    ] = None,
    seed: Seed = None,
) -> None:
    """Run a scenario under two policies, and compare them: by default a regional hot spot, `closest` and `dyncast`.

    Two runs of the same requests, one after the other; then tables, pictures and a report of both.

    \b
    Examples:
      sudo ./dyncast demo
      sudo ./dyncast demo alto
      sudo ./dyncast demo --duration 10 --seed 2
    """
    chosen = demonstration.demonstration(system)
    need_root("demo")
    shown = terminal.output()
    duration_s = chosen.duration_s if duration is None else duration
    shown.print(f"Two runs of {duration_s:g} s of traffic, and about 20 s around each: a network is built, and removed")
    from testbed.experiment import demo as demonstrating

    demonstrating.run(chosen, out, duration_s, seed, shown)
