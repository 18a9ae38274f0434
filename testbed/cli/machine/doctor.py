"""`dyncast doctor`: whether this machine can run the testbed, and how well."""

from __future__ import annotations

import typer

from testbed.cli.options import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do, try TCP and UDP through a real link and bridge, and how to add what is missing.

    Ends with code 1 if the machine is not ready. Without root it says what root could do.

    \b
    Examples:
      sudo ./dyncast doctor
      dyncast doctor --json
    """
    from testbed.emulation.machine import doctor as examination

    raise typer.Exit(examination.run(as_json))
