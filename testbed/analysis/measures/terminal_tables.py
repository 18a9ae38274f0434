"""Summaries as tables for a terminal.

Owns which tables there are and their order. Computes nothing; takes what `summary` and `comparison` worked out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.analysis.measures import columns
from testbed.analysis.measures.columns import ABSENT, TitledFrame, without, written
from testbed.analysis.measures.comparison import labels, measures
from testbed.analysis.measures.summary import Summary, numbered, with_ways
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import systems

_LONGEST_KEPT = 24  # characters of a word; longer ones, such as paths, are folded


def print_summary(summary: Summary, console: Console) -> None:
    """Print the figures of a run, its fidelity verdict and the checks that failed."""
    run = summary.run
    seed = "" if run.manifest.seed is None else f", seed {run.manifest.seed}"
    warm_up_s = run.manifest.warm_up_s
    duration = f"{run.end_s - run.start_s:.0f} s{f', the first {warm_up_s:g} not counted' if warm_up_s else ''}"
    console.print(Text(f"{run.scenario} under {run.policy}: {run.run_id}, {duration}{seed}", "bold"))
    console.print(Text(run.mark, "bold red") if run.mark else Text("fidelity: valid", "green"))
    for table in _tables(summary):
        if not table.frame.empty:
            console.print(drawn(table))
    failed = [check for check in summary.checks if not check.ok]
    for check in failed:
        console.print(Text(f"✗ {check.name}: {check.detail}", "bold red"))
    console.print(Text(f"{len(summary.checks) - len(failed)} of {len(summary.checks)} consistency checks hold"))


def comparison_table(runs: Sequence[RunData]) -> Table:
    """Put runs side by side, one column each; with two or more, the last column compares the last with the first."""
    names = labels(runs)
    table = Table(title=Text(f"{runs[0].scenario} under {', '.join(names)}"), title_justify="left")
    table.add_column("")
    table.add_column("measure")
    for name, run in zip(names, runs, strict=True):
        verdict = f"\n{run.mark.split(':')[0]}" if run.mark else ""
        table.add_column(Text.assemble(name, (verdict, "bold red")), justify="right")
    if len(runs) > 1:
        table.add_column(Text(f"{names[-1]} against {names[0]}"), justify="right")
    subject = None
    for measure in measures(runs):
        if measure.subject != subject:
            table.add_section()
        cells = [
            written(value, ",.2f") + (f" {measure.unit}" if math.isfinite(value) else "") for value in measure.values
        ]
        if len(runs) > 1:
            cells.append(ABSENT if measure.change is None else "{:+,.1f} {}".format(*measure.change))
        shown = measure.subject if measure.subject != subject else ""
        table.add_row(Text(shown), Text(measure.name), *map(Text, cells))
        subject = measure.subject
    marks = [f"{name}: {run.mark}" for name, run in zip(names, runs, strict=True) if run.mark]
    if marks:
        table.caption, table.caption_justify = Text("\n".join(marks), "red"), "left"
    return table


def _tables(summary: Summary) -> Iterator[TitledFrame]:
    yield TitledFrame("Services", summary.services, columns.SERVICES)
    yield TitledFrame("Sites", summary.sites, columns.SITES)
    yield TitledFrame("Instances", summary.instances, without(columns.INSTANCES, "service"))
    yield TitledFrame("RTP", with_ways(summary.rtp), columns.RTP)
    yield TitledFrame("Calls of several streams", summary.calls, columns.CALLS)
    for system in systems().values():
        yield from system.printed(summary)
    commands = _readable(summary.run.commands)
    yield TitledFrame("Commands at clients", commands, without(columns.COMMANDS, "argv", "last_words"))
    yield TitledFrame("Faults", numbered(summary.faults), columns.FAULTS)
    yield TitledFrame("Signalling sent while workloads ran", summary.signalling, columns.SIGNALLING)


def _readable(commands: pd.DataFrame) -> pd.DataFrame:
    """Return commands with what they said, for people: their figures, which are JSON, or else their last line."""
    figures = commands["figures"].str.strip("{}").str.replace('"', "")
    return commands.assign(figures=figures.where(figures.fillna("") != "", commands["last_words"]))


def drawn(titled: TitledFrame) -> Table:
    """Return a table as it is printed: headings give way to names, which nobody finds again once they are broken."""
    table = Table(title=Text(titled.title), title_justify="left")
    rows = [
        [written(value, form) for value, (_, form) in zip(row, titled.columns.values(), strict=True)]
        for row in titled.frame[list(titled.columns)].itertuples(index=False)
    ]
    for number, (heading, form) in enumerate(titled.columns.values()):
        longest = max((len(word) for row in rows for word in row[number].split()), default=0)
        table.add_column(
            heading, justify="right" if form else "left", overflow="fold", min_width=min(longest, _LONGEST_KEPT)
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table
