"""`response_parts.png`, and the same on the page: parts of response times, a bar per function, cluster and start."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from testbed.analysis.alto import figures
from testbed.analysis.alto.figures import PARTS
from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

NAME = "response_parts.png"
_MOST_BARS = 24  # what is beyond stands in the table
_COLOURS = dict(
    zip(PARTS, (style.GREY, style.SKY, style.PURPLE, style.VERMILION, style.ORANGE, style.GREEN), strict=True)
)


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when no function was invoked."""
    table = figures.by_start(run)
    if table.empty:
        raise style.NothingToDrawError("no invocation was answered by a container")
    title = f"Parts of the response time: {run.scenario}"
    with style.canvas(path, 6.4, 1.6 + 0.32 * min(len(table), _MOST_BARS), title, style.marks(run)) as figure:
        axes = figure.add_subplot()
        _bars(axes, table)
        figure.legend(loc="outside lower center", ncols=3)


def sketched(book: Sketchbook, table: pd.DataFrame) -> Figure:
    """Draw the same for a page; takes `by_start`."""

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        _bars(axes, table)
        sketches.legend_below(canvas, axes, columns=3)

    more = f" The {_MOST_BARS} most frequent of {len(table)}." if len(table) > _MOST_BARS else ""
    note = f"Means over invocations that a container answered, by function, cluster and what they found.{more}"
    size_in = (sketches.WIDTH_IN, 1.5 + 0.3 * min(len(table), _MOST_BARS))
    return book.draw("Parts of the response time", note, paint, size_in=size_in)


def _bars(axes: Axes, table: pd.DataFrame) -> None:
    shown = table.nlargest(_MOST_BARS, "invocations").sort_index()
    labels = [f"{row.function}, {row.cluster}, {row.start} ({row.invocations:,})" for row in shown.itertuples()]
    places = range(len(shown))
    done = [0.0] * len(shown)
    for part, title in PARTS.items():
        lengths_ms = shown[part].clip(lower=0.0).to_numpy()
        if lengths_ms.any():
            axes.barh(places, lengths_ms, left=done, height=0.7, label=title, color=_COLOURS[part])
        done = [before + length for before, length in zip(done, lengths_ms, strict=True)]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("mean (ms)")
