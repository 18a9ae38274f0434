"""`dyncast check`: a finished run held against theory.

Owns the command's options and what it says; what is compared is `testbed.analysis.theory.theory_checks`' business.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testbed.cli.options import AsJson
from testbed.terminal import console as terminal

if TYPE_CHECKING:
    from testbed.analysis.theory.theory_outcomes import TheoryCheck, TheoryReport

_WIDE = 160  # characters, where nobody's terminal says


def check(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run.")],
    as_json: AsJson = False,
) -> None:
    """Hold a finished run against theory: queues against M/M/c and Little's law, RTP jitter, packets in and out.

    Each figure of the run comes with its 99.9 % confidence interval; a check holds if the expected value is within.
    What a theory does not apply to is named with the reason. Ends with code 1 if a check fails.

    \b
    Examples:
      sudo ./dyncast run docs/examples/theory.yaml
      dyncast check results/theory/20260102-030405
      dyncast check results/theory/20260102-030405 --json
    """
    from rich.text import Text

    from testbed.analysis.run_data.loading import load
    from testbed.analysis.theory.theory_checks import theory_checks

    run = load(run_dir)
    report = theory_checks(run)
    if as_json:
        terminal.document(json.dumps(_document(report), indent=2) + "\n")
        raise typer.Exit(0 if report.holds else 1)
    out = terminal.output(_WIDE)
    out.print(Text(f"{run.scenario} under {run.policy}: {run.run_id}", "bold"))
    if run.mark:
        out.print(Text(run.mark, "bold red"))
    if report.checks:
        out.print(_table(report))
    for item in report.left_out:
        out.print(Text(f"not checked: {item.subject}: {item.why}", "dim"))
    held = sum(item.holds for item in report.checks)
    out.print(Text(f"{held} of {len(report.checks)} checks against theory hold"))
    raise typer.Exit(0 if report.holds else 1)


def _table(report: TheoryReport) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for heading in ("check", "of"):
        table.add_column(heading)
    for heading in ("figure", "interval", "expected"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for item in report.checks:
        figure = item.figure
        verdict = Text("holds", "green") if item.holds else Text("FAILS", "bold red")
        table.add_row(
            Text(item.name), Text(item.subject), f"{_short(figure.mean)} {item.unit}",
            f"{_short(figure.low)} to {_short(figure.high)}", _short(item.expected), verdict,
        )  # fmt: skip
    return table


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _document(report: TheoryReport) -> dict[str, Any]:
    return {
        "holds": report.holds,
        "checks": [_row(item) for item in report.checks],
        "left_out": [{"subject": item.subject, "why": item.why} for item in report.left_out],
    }


def _row(item: TheoryCheck) -> dict[str, Any]:
    bounds = {"low": item.figure.low, "high": item.figure.high}
    return {
        "check": item.name,
        "subject": item.subject,
        "unit": item.unit,
        "figure": item.figure.mean,
        **{name: value if math.isfinite(value) else None for name, value in bounds.items()},
        "expected": item.expected,
        "holds": item.holds,
    }
