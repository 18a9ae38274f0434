"""`dyncast trace show`: which functions a trace has, by rank, and what is known of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testbed.cli.options import AsJson
from testbed.terminal import console as terminal

if TYPE_CHECKING:
    from traffic.traces.azure_2019 import Left
    from traffic.traces.file import InvocationTrace

_DIGITS = 12


def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Counts of 2019, or invocations of 2021.")],
    top: Annotated[int, typer.Option(min=1, help="How many of the most invoked functions.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the functions of a trace by rank: how often they are invoked, how long they take, the memory of their apps.

    Durations and memory are known if their files of the same day lie beside the counts of 2019.

    \b
    Examples:
      dyncast trace show traces/invocations_per_function_md.anon.d01.csv
      dyncast trace show traces/invocations_per_function_md.anon.d01.csv --json
    More: docs/alto/traces.md.
    """
    from rich.table import Table

    from traffic.traces.file import InvocationTrace

    trace = InvocationTrace.at(path)
    rows, lefts = _rows(trace, top)
    totals = trace.totals()
    said = {
        "path": str(path),
        "format": str(trace.year),
        "apps": len({function.app for function in totals}),
        "functions": len(totals),
        "invocations": sum(totals.values()),
    }
    left_out = [str(left) for left in lefts if left.count]
    if as_json:
        terminal.document(json.dumps({**said, "left_out": left_out, "most_invoked": rows}, indent=2) + "\n")
        return
    shown = terminal.output(110)
    shown.print(
        f"{path}: format of {trace.year}, {said['invocations']:,} invocations of {said['functions']:,} functions "
        f"in {said['apps']:,} apps",
        highlight=False,
        soft_wrap=True,
    )
    for line in left_out:
        shown.print(line, highlight=False, soft_wrap=True)
    table = Table(*rows[0])
    for row in rows:
        short = {**row, "app": row["app"][:_DIGITS], "function": row["function"][:_DIGITS]}
        table.add_row(*(_figure(value) for value in short.values()))
    shown.print(table)


def _rows(trace: InvocationTrace, top: int) -> tuple[list[dict[str, Any]], list[Left]]:
    from traffic.traces import azure_2019, functions
    from traffic.traces import file as trace_file

    totals, triggers = trace.totals(), trace.triggers()
    whole = sum(totals.values()) or 1
    timed = trace.beside(azure_2019.DURATIONS_FILE)
    remembered = trace.beside(azure_2019.MEMORY_FILE)
    durations = trace_file.durations(timed) if timed else azure_2019.DurationsOf({})
    memory = trace_file.memory(remembered) if remembered else azure_2019.MemoryOf({})
    rows = []
    for rank, function in enumerate(functions.ranked(totals)[:top], 1):
        took, had = durations.by_function.get(function), memory.by_app.get(function.app)
        rows.append(
            {
                "rank": rank,
                "app": function.app,
                "function": function.function,
                "trigger": triggers.get(function),
                "invocations": totals[function],
                "share": round(totals[function] / whole, 4),
                "median_ms": took.percentiles_ms[3] if took else None,
                "memory_mb": had.average_mb if had else None,
            }
        )
    return rows, [durations.left, memory.left]


def _figure(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
