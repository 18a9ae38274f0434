"""`dyncast trace`: its commands put together."""

from __future__ import annotations

import typer

from testbed.cli.trace import make, show

COMMANDS = (show.show, make.make)


def group() -> typer.Typer:
    """Return the group without its commands, which the command line adds as it adds its own."""
    return typer.Typer(
        no_args_is_help=True,
        help="Traces of invocations in the formats of the Azure Functions data sets: what is in one, synthetic ones.",
    )
