"""`dyncast test`: the linters and tests of a checkout."""

from __future__ import annotations

from typing import Annotated

import typer


def test(
    context: typer.Context,
    slow: Annotated[bool, typer.Option("--slow", help="Also the slow and exhaustive tests.")] = False,
) -> None:
    """Run linters and tests; further arguments go to pytest, which then runs alone.

    All of it takes more than twenty minutes on two cores. What fails is printed as it fails, and a summary at the end.

    \b
    Examples:
      sudo ./dyncast test
      sudo ./dyncast test tests/unit -q
      sudo ./dyncast test tests/integration/test_links.py -k netem
    """
    from testbed.cli.machine import run_tests

    raise typer.Exit(run_tests.run(slow, context.args))
