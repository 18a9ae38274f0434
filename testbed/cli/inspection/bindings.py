"""`dyncast bindings`: the binding tables of a run that is up."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.table import Table

from testbed.cli.options import AsJson, CommandError, need_root
from testbed.terminal import console as terminal

_WIDE = 180  # two IPv6 addresses and a D-SID side by side


def bindings(
    d_router: Annotated[str | None, typer.Argument(metavar="[D-ROUTER]", help="All unless named.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the binding tables of a run that is up: flow identifier, D-SID, D-BID, egress, age, timeout.

    Read from the switches, whether the D-Router bound the flow or the switch itself, in seconds. `-` stands for a field
    that does not identify the flow.

    \b
    Examples:
      sudo ./dyncast bindings
      sudo ./dyncast bindings chicago --json
    """
    need_root("bindings")
    from testbed.emulation.inspection import binding_tables

    up = binding_tables.d_routers()
    chosen = [item for item in up if d_router in (None, item.d_router)]
    if not chosen:
        names = ", ".join(sorted({item.d_router for item in up}))
        hint = f"there are: {names}" if up else "no run is up; start one with `dyncast run`"
        raise CommandError(f"no D-Router {d_router!r}; {hint}" if d_router else hint)
    rows = [row.document() for item in chosen for row in binding_tables.rows(item, time.monotonic())]
    if as_json:
        terminal.document(json.dumps(rows, indent=2) + "\n")
    else:
        terminal.output(_WIDE).print(_table(rows))


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table(title=f"{len(rows)} bindings")
    columns = [key for key in rows[0] if key != "run"] if rows else ["d_router", "src", "d_sid", "d_bid"]
    for key in columns:
        table.add_column(key)
    for row in rows:
        table.add_row(*("-" if row[key] is None else str(row[key]) for key in columns))
    return table
