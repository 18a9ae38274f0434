"""`invocations_over_time.png`, and the same on the page: where invocations were answered while the run lasted.

Above, how many came to an answer from each cluster, or to none, by when they were due; below, how long the answers of
each cluster took. Faults are marked in both.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.measures.summary import faults_of
from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

NAME = "invocations_over_time.png"
NO_ANSWER, OTHERS = "no answer", "other clusters"
_MOST_CLUSTERS = 6
_MOST_STEPS = 120
_CHARACTERS = 95  # of a line below the picture
_KIND = "invoke"


def ends(run: RunData) -> pd.DataFrame:
    """Return a row per invocation: `due_s`, `where` (the cluster that answered, or NO_ANSWER) and `response_ms`.

    Of many clusters those that answered seldom are OTHERS.
    """
    flows = run.flows[run.flows["kind"].astype(object) == _KIND]
    is_ok = flows["outcome"].astype(object) == "ok"
    where = flows["instance"].astype(object).where(is_ok).fillna(NO_ANSWER)
    frequent = where[where != NO_ANSWER].value_counts().index[:_MOST_CLUSTERS]
    where = where.where(where.isin([*frequent, NO_ANSWER]), OTHERS)
    return pd.DataFrame({"due_s": flows["due_s"], "where": where, "response_ms": flows["completion_ms"].where(is_ok)})


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when no function was invoked."""
    found = ends(run)
    if found.empty:
        raise style.NothingToDrawError("no function was invoked")
    title = f"Where invocations were answered: {run.scenario}, policy {run.policy}"
    with style.canvas(path, 7.2, 5.6, title, style.marks(run)) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        faults = faults_of(run)
        _panels(upper, lower, found, TimeAxis.of(run, faults))
        lower.set_xlabel("\n".join(["time (s)", *_named(faults)]))
        figure.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _named(faults: pd.DataFrame) -> list[str]:
    listed = [f"{number} {fault.fault} {fault.target}" for number, fault in enumerate(faults.itertuples(), 1)]
    return textwrap.wrap(f"faults: {';  '.join(listed)}", _CHARACTERS) if listed else []


def sketched(book: Sketchbook, found: pd.DataFrame, time: TimeAxis) -> Figure:
    """Draw the same for a page; takes `ends`."""

    def paint(canvas: Canvas) -> None:
        upper, lower = canvas.subplots(2, 1, sharex=True)
        _panels(upper, lower, found, time)
        sketches.legend_below(canvas, upper)

    note = f"By when they were due; below, the median of each cluster's answers. {time.note}".strip()
    size_in = (sketches.WIDTH_IN, 3.4 + 0.08 * found["where"].nunique())
    return book.draw("Where invocations were answered", note, paint, size_in=size_in)


def _panels(upper: Axes, lower: Axes, found: pd.DataFrame, time: TimeAxis) -> None:
    edges_s = time.edges_s(least_step_s=1.0, most_steps=_MOST_STEPS)
    widths_s = np.diff(edges_s)
    inside = found.assign(step=time.steps(found["due_s"], edges_s)).query("step >= 0")
    stacked = np.zeros(len(widths_s))
    for index, name in enumerate(_order(inside["where"])):
        of_it = inside[inside["where"] == name]
        colour = style.GREY if name == NO_ANSWER else style.SERIES[index]
        per_s = np.bincount(of_it["step"], minlength=len(widths_s)) / widths_s
        upper.bar(edges_s[:-1], per_s, widths_s, bottom=stacked, align="edge", color=colour, label=name, linewidth=0)
        stacked += per_s
        medians_ms = of_it.groupby("step")["response_ms"].median().reindex(range(len(widths_s)))  # no line across gaps
        lower.plot(edges_s[:-1] + widths_s / 2, medians_ms, color=colour, marker=".", markersize=4, linewidth=0.8)
    upper.set_ylabel("invocations per s")
    lower.set_ylabel("response (ms)")
    lower.set_ylim(bottom=0)
    time.dress(upper, lower)


def _order(where: pd.Series) -> Sequence[str]:
    """Return the clusters by name, then what is no cluster of its own: colours stay when some are missing elsewhere."""
    last = (OTHERS, NO_ANSWER)
    names = sorted(str(name) for name in where.unique() if name not in last)
    return [*names, *(name for name in last if name in set(where))]
