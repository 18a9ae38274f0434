"""`dyncast alto`: its commands put together."""

from __future__ import annotations

import typer

from testbed.cli.alto import get, serve

COMMANDS = (serve.serve, get.get)


def group() -> typer.Typer:
    """Return the group without its commands, which the command line adds as it adds its own."""
    return typer.Typer(
        no_args_is_help=True, help="ALTO (RFC 7285) alone: a server of a topology, a client of any server."
    )
