"""The picture of signalling: bytes per second of each kind while the run lasted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.html_report.run.flow_figures import most_first
from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.signalling import sent


def signalling(book: Sketchbook, run: RunData, time: TimeAxis) -> list[Figure]:
    """Draw bytes sent per second by kind; an empty list where nothing was sent."""
    edges_s = time.edges_s(least_step_s=1.0, most_steps=120)
    rates = bytes_per_s(run.control, time.start_s + edges_s)
    rates = most_first(rates.loc[:, rates.sum() > 0])
    if rates.empty or not rates.shape[1]:
        return []

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        held = np.concatenate([rates.to_numpy().T, rates.to_numpy().T[:, -1:]], axis=1)
        names = [str(name) for name in rates.columns]
        axes.stackplot(edges_s, held, labels=names, colors=style.SERIES, step="post", linewidth=0)
        axes.set_ylabel("bytes per second")
        axes.set_ylim(bottom=0)
        time.dress(axes)
        sketches.legend_below(canvas, axes, columns=3)

    note = f"Payload of all messages that Dyncast nodes sent each other, by kind. {time.note}".strip()
    return [book.draw("Signalling", note, paint)]


def bytes_per_s(control: pd.DataFrame, edges_s: np.ndarray) -> pd.DataFrame:
    """Return one row per step between edges, one column per kind.

    A counter that has no reading in a step has not moved in it.
    """
    readings = sent(control, "bytes")
    step = np.searchsorted(edges_s, readings["time_s"].to_numpy(), side="left") - 1
    inside = (step >= 0) & (step < len(edges_s) - 1)
    table = pd.crosstab(
        step[inside], readings["kind"].astype(object)[inside], values=readings["bytes"][inside], aggfunc="sum"
    )
    table = table.reindex(range(len(edges_s) - 1)).fillna(0.0)
    return table.div(np.diff(edges_s), axis=0)
