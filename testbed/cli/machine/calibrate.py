"""`dyncast calibrate`: what load this machine carries; and the warning of `dyncast run` when a scenario asks for more.

Owns the command's options and what it says; the search is `testbed.experiment.systems.dyncast.calibration`'s business.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.cli.options import need_root
from testbed.terminal import console as terminal

if TYPE_CHECKING:
    from rich.console import Console

    from testbed.experiment.plan.plan import Plan
    from testbed.experiment.systems.dyncast.calibration import Carried


def calibrate(
    out: Annotated[Path, typer.Option(help="Folder of results: calibration.json goes there.")] = Path("results"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorter runs, each once: less exact, one to two minutes.")
    ] = False,
) -> None:
    """Find the load that this machine carries with a valid verdict: new flows through an ingress, RTP through links.

    Runs a small scenario at loads that double until the verdict is not valid, then in between: three to four minutes.
    What comes out is printed and written to results/calibration.json; `dyncast run` warns of scenarios that ask for
    more. Do it again when the machine has changed, and while nothing else runs on it.

    \b
    Examples:
      sudo ./dyncast calibrate
      sudo ./dyncast calibrate --quick
    """
    from rich.text import Text

    from testbed.experiment.progress import Terminal
    from testbed.experiment.systems.dyncast import calibration

    need_root("calibrate")
    shown = terminal.output()
    settings = calibration.QUICK if quick else calibration.Settings()
    with Terminal(shown).showing() as progress:
        carried = calibration.calibrate(settings, progress)
    path = out / calibration.FILE
    calibration.write(path, carried, settings)
    for name, found in carried.items():
        shown.print(Text(_line(calibration.KINDS[name].unit, found)))
    shown.print(Text(str(path), "bold"))


def _line(unit: str, found: Carried) -> str:
    reasons = "; ".join(found.reasons)
    if found.valid is None:
        return f"not even {found.not_valid:.0f} {unit} came out valid: {reasons}"
    more = "" if found.not_valid is None else f"; {found.not_valid:.0f} do not: {reasons}"
    return f"{found.valid:.0f} {unit} come out valid{more}"


def warn(plan: Plan, results: Path, err: Console) -> None:
    """Say if a scenario asks for more than was carried here; a calibration that cannot be read is said, too."""
    from testbed.experiment.systems.dyncast import calibration

    try:
        lines = calibration.warnings(plan, results / calibration.FILE)
    except calibration.CalibrationError as error:
        lines = [str(error)]
    for line in lines:
        err.print(f"dyncast: warning: {terminal.one_line(line)}")
