"""Summaries as tables for a terminal.

Owns headings, units and rounding. Computes nothing; takes what `summary` and `comparison` worked out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.analysis.decisions.evaluation import Judgement
from testbed.analysis.measures.comparison import labels, measures
from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.loading import RunData

# Column of a summary's frame → heading and format; `share`s and `utilisation`s are drawn in percent.
_SERVICES = {
    "service": ("service", ""),
    "kind": ("kind", ""),
    "offered": ("offered", ",d"),
    "ok": ("ok", ",d"),
    "refused": ("refused", ",d"),
    "timeout": ("timed out", ",d"),
    "interrupted": ("interrupted", ",d"),
    "failed": ("failed", ",d"),
    "completion_mean_ms": ("completion ms: mean", ",.1f"),
    "completion_p50_ms": ("p50", ",.1f"),
    "completion_p95_ms": ("p95", ",.1f"),
    "completion_p99_ms": ("p99", ",.1f"),
    "connect_mean_ms": ("connect ms", ",.2f"),
}
_INSTANCES = {
    "instance": ("instance", ""),
    "site": ("site", ""),
    "workers": ("workers", ",.0f"),
    "flows": ("flows", ",d"),
    "share": ("share of service", ".1%"),
    "utilisation": ("utilisation", ".1%"),
    "queue_mean": ("queue: mean", ",.1f"),
    "queue_max": ("max", ",.0f"),
    "refused": ("refused", ",d"),
}
_SITES = {
    "site": ("site", ""),
    "instances": ("instances", ",d"),
    "flows": ("flows", ",d"),
    "share": ("share", ".1%"),
    "utilisation": ("utilisation", ".1%"),
    "refused": ("refused", ",d"),
}
_RTP = {
    "service": ("service", ""),
    "direction": ("direction", ""),
    "streams": ("streams", ",d"),
    "silent": ("silent", ",d"),
    "packets": ("packets", ",.0f"),
    "loss_percent": ("loss %", ".3f"),
    "jitter_mean_ms": ("jitter ms: mean", ".3f"),
    "jitter_p95_ms": ("p95", ".3f"),
    "delay_mean_ms": ("delay ms: mean", ".2f"),
    "delay_p95_ms": ("p95", ".2f"),
}
_CALLS = {
    "service": ("service", ""),
    "calls": ("calls", ",d"),
    "calls_lost": ("lost", ",d"),
    "calls_split": ("split over instances", ",d"),
    "split_percent": ("%", ".1f"),
}
_DECISIONS = {
    "d_router": ("D-Router", ""),
    "decisions": ("decisions", ",d"),
    "metrics_age_mean_s": ("metrics' age s: mean", ".3f"),
}
_JUDGED = {
    "service": ("service", ""),
    "decisions": ("decisions", ",d"),
    "best_percent": ("within 1 ms of the best %", ".1f"),
    "regret_mean_ms": ("regret ms: mean", ",.1f"),
    "regret_p50_ms": ("p50", ",.1f"),
    "regret_p95_ms": ("p95", ",.1f"),
    "regret_p99_ms": ("p99", ",.1f"),
    "imbalance_mean": ("imbalance", ".2f"),
    "dispersion": ("dispersion", ".2f"),
    "swing": ("swing", ".2f"),
}
_COMMANDS = {
    "workload": ("workload", ""),
    "client": ("client", ""),
    "outcome": ("outcome", ""),
    "exit_code": ("exit code", ",d"),
    "figures": ("its figures", ""),
}
_FAULTS = {
    "fault": ("fault", ""),
    "target": ("target", ""),
    "begin_s": ("from s", ".2f"),
    "end_s": ("to s", ".2f"),
    "time_to_detect_s": ("s until detected", ".3f"),
    "time_to_tell_all_s": ("all told", ".3f"),
    "time_to_steer_away_s": ("steered away", ".3f"),
    "flows_broken": ("flows broken", ",d"),
}
_SIGNALLING = {
    "kind": ("kind", ""),
    "nodes": ("senders", ",d"),
    "messages": ("messages", ",.0f"),
    "bytes": ("bytes", ",.0f"),
    "bytes_per_s": ("bytes/s", ",.1f"),
}
_ABSENT = "-"


def print_summary(summary: Summary, console: Console) -> None:
    """Print the figures of a run, its fidelity verdict and the checks that failed."""
    run = summary.run
    seed = "" if run.manifest.seed is None else f", seed {run.manifest.seed}"
    warm_up_s = run.manifest.warm_up_s
    duration = f"{run.end_s - run.start_s:.0f} s{f', the first {warm_up_s:g} not counted' if warm_up_s else ''}"
    console.print(Text(f"{run.scenario} under {run.policy}: {run.run_id}, {duration}{seed}", "bold"))
    console.print(Text(run.mark, "bold red") if run.mark else Text("fidelity: valid", "green"))
    for title, frame, columns in (
        ("Services", summary.services, _SERVICES),
        ("Sites", summary.sites, _SITES),
        ("Instances", summary.instances, _INSTANCES),
        ("RTP (echo: round trip; up: to the instance)", summary.rtp, _RTP),
        ("Calls of several streams", summary.calls, _CALLS),
        ("Decisions", summary.decisions, _DECISIONS),
        ("Decisions against an oracle (docs/dyncast/judging.md)", _judged(summary.judgement), _JUDGED),
        ("Commands at clients", _readable(run.commands), _COMMANDS),
        ("Faults", summary.faults, _FAULTS),
        ("Signalling sent while workloads ran", summary.signalling, _SIGNALLING),
    ):
        if not frame.empty:
            console.print(_table(title, frame, columns))
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
            _cell(value, ",.2f") + (f" {measure.unit}" if math.isfinite(value) else "") for value in measure.values
        ]
        if len(runs) > 1:
            cells.append(_ABSENT if measure.change is None else "{:+,.1f} {}".format(*measure.change))
        shown = measure.subject if measure.subject != subject else ""
        table.add_row(Text(shown), Text(measure.name), *map(Text, cells))
        subject = measure.subject
    marks = [f"{name}: {run.mark}" for name, run in zip(names, runs, strict=True) if run.mark]
    if marks:
        table.caption, table.caption_justify = Text("\n".join(marks), "red"), "left"
    return table


def _judged(judgement: Judgement) -> pd.DataFrame:
    return judgement.regret.merge(judgement.steadiness, on="service")


def _readable(commands: pd.DataFrame) -> pd.DataFrame:
    """Return commands with their figures, which are JSON, in a form for people."""
    return commands.assign(figures=commands["figures"].str.strip("{}").str.replace('"', ""))


def _table(title: str, frame: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> Table:
    table = Table(title=Text(title), title_justify="left")
    for heading, form in columns.values():
        table.add_column(heading, justify="right" if form else "left", overflow="fold")
    for row in frame[list(columns)].itertuples(index=False):
        table.add_row(*(Text(_cell(value, form)) for value, (_, form) in zip(row, columns.values(), strict=True)))
    return table


def _cell(value: object, form: str) -> str:
    if pd.isna(value):
        return _ABSENT
    return format(int(value) if form.endswith("d") else value, form)  # type: ignore[call-overload]
