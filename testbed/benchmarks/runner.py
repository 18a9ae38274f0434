"""Runs benchmarks: which ones, how they are ended, and how their rows are shown.

Exit code 0, 1 if one failed, 143 if SIGTERM ended them.
"""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from testbed.benchmarks import registry
from testbed.benchmarks.harness import Row, Settings, Skipped
from testbed.runtime.signals import signals_as_exit
from testbed.terminal import console as terminal

_WIDE = 150  # characters, where no terminal says


def run(names: Sequence[str], settings: Settings, *, as_json: bool) -> int:
    """Run the named benchmarks, or all; print a table, or JSON rows.

    A row of JSON is printed as soon as it is measured. Progress goes to stderr. Raises UnknownBenchmark.
    """
    chosen = [registry.load(name) for name in names or registry.NAMES]
    progress = terminal.errors()
    rows: list[Row] = []
    failed = False
    with signals_as_exit([signal.SIGTERM]):  # so that a benchmark takes away what it made
        for number, benchmark in enumerate(chosen, 1):
            progress.print(terminal.step(f"{number}/{len(chosen)} {benchmark.name}: {benchmark.summary}"))
            begun_s = time.monotonic()
            try:
                for row in benchmark.run(settings):
                    rows.append(row)
                    if as_json:
                        terminal.document(json.dumps(row.document()) + "\n")
                    else:
                        progress.print(f"    {row.name}: {row.value:,.4g} {row.unit}")
            except Skipped as reason:
                progress.print(f"    skipped: {reason}")
            except Exception:
                failed = True
                progress.print(f"    failed: {traceback.format_exc()}")
            progress.print(f"    took {time.monotonic() - begun_s:.1f} s", style="dim")
    if not as_json:
        terminal.output(_WIDE).print(_table(rows))
    return 1 if failed else 0


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Medians; a ratio is of figures measured in alternation")
    for heading in ("benchmark", "unit", "value", "baseline", "ratio", "goal", "rounds", "spread", "what it is"):
        table.add_column(heading, justify="left" if heading in ("benchmark", "unit", "what it is") else "right")
    for row in rows:
        goal = row.document()["goal"] or ""
        table.add_row(
            row.name, row.unit, _figure(row.value), _figure(row.baseline), _figure(row.ratio),
            goal if row.goal_is_met is not False else Text(f"{goal} missed", "red"),
            str(row.rounds), f"{row.spread:.0%}", row.note,
        )  # fmt: skip
    return table


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
