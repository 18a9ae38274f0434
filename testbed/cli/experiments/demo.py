"""`dyncast demo`: what the testbed is for, in two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.options import Out, Seed, need_root
from testbed.terminal import console as terminal


def demo(
    out: Out = Path("results"),
    duration: Annotated[float, typer.Option(min=5, help="Seconds of traffic per policy.")] = 45.0,
    seed: Seed = None,
) -> None:
    """Run Abilene with a regional hot spot under `closest` and under `dyncast`, and compare them.

    Two runs of the same requests, one after the other; then a table, pictures and a report of both.

    \b
    Examples:
      sudo ./dyncast demo
      sudo ./dyncast demo --duration 10 --seed 2
    """
    need_root("demo")
    shown = terminal.output()
    shown.print(f"Two runs of {duration:g} s of traffic, and about 20 s around each: a network is built, and removed")
    from testbed.experiment import demo as demonstration

    demonstration.run(out, duration, seed, shown)
