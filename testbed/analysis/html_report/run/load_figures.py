"""Pictures of load: utilisation and queue of instances while the run lasted, with its faults.

A few instances are lines, many are rows of shades; of very many, the busiest.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator, PercentFormatter

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.html_report.run.flow_figures import MOST_PICTURES
from testbed.analysis.plots import style as plot_style
from testbed.analysis.run_data.loading import RunData

_MOST_LINES = 6
_MOST_ROWS, _LEAST_ROWS, _MOST_ROWS_IN_ALL = 60, 12, 120  # of a picture, and of all services together
_MOST_COLUMNS = 120


def load_over_time(book: Sketchbook, run: RunData, time: TimeAxis) -> list[Figure]:
    """Draw utilisation and queue of each service's instances."""
    samples = run.instances
    edges_s = time.edges_s(most_steps=_MOST_COLUMNS if samples["instance"].nunique() > _MOST_LINES else 240)
    step = time.steps(samples["time_s"], edges_s)
    # A sample is about the time before it: the last one may come after the end.
    samples = samples.assign(step=step)[step >= 0]
    figures: list[Figure] = []
    services = list(samples.groupby("service", observed=True))[:MOST_PICTURES]
    most_rows = min(_MOST_ROWS, max(_LEAST_ROWS, _MOST_ROWS_IN_ALL // max(1, len(services))))
    for service, own in services:
        means = own.groupby(["instance", "step"], observed=True)[["utilisation", "queue_length"]].mean()
        utilisation, queue = (
            means[quantity].unstack("step").reindex(columns=range(len(edges_s) - 1))
            for quantity in ("utilisation", "queue_length")
        )
        if len(utilisation) <= _MOST_LINES:
            figures.append(_lines(book, str(service), utilisation, queue, edges_s, time))
        else:
            figures += _rows(book, str(service), utilisation, queue, edges_s, time, most_rows)
    return figures


def _lines(
    book: Sketchbook, service: str, utilisation: pd.DataFrame, queue: pd.DataFrame, edges_s: np.ndarray, time: TimeAxis
) -> Figure:
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2

    def paint(canvas: Canvas) -> None:
        upper, lower = canvas.subplots(2, 1, sharex=True)
        for index, name in enumerate(utilisation.index):
            style = {"color": plot_style.SERIES[index], "linestyle": plot_style.DASHES[index % 5], "linewidth": 1.1}
            upper.plot(middle_s, utilisation.loc[name], label=str(name), **style)
            lower.plot(middle_s, queue.loc[name], **style)
        upper.set_ylim(0, 1.03)
        upper.yaxis.set_major_formatter(PercentFormatter(1.0))
        upper.set_ylabel("utilisation")
        lower.set_ylim(0, max(1.0, 1.05 * float(np.nanmax(queue.to_numpy(), initial=0.0))))
        lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        lower.set_ylabel("waiting")
        time.dress(upper, lower)
        sketches.legend_below(canvas, upper)

    size_in = (sketches.WIDTH_IN, 3.4 + 0.08 * len(utilisation))
    return book.draw(f"{service}: load of instances", _note(time), paint, size_in=size_in)


def _note(time: TimeAxis) -> str:
    return f"Busy share of workers, and what waits for one. {time.note}".strip()


def _rows(
    book: Sketchbook,
    service: str,
    utilisation: pd.DataFrame,
    queue: pd.DataFrame,
    edges_s: np.ndarray,
    time: TimeAxis,
    most_rows: int,
) -> list[Figure]:
    busiest = utilisation.mean(axis=1).sort_values(ascending=False).index[:most_rows]
    shown = utilisation.index[utilisation.index.isin(busiest)]
    most = max(1.0, float(np.nanmax(queue.to_numpy(), initial=0.0)))
    left_out = len(utilisation) - len(shown)
    note = f"The {len(shown)} busiest of {len(utilisation)} instances. " if left_out else ""
    size_in = (sketches.WIDTH_IN, 1.0 + 0.15 * len(shown))

    def painter(shares: pd.DataFrame):  # type: ignore[no-untyped-def]
        def paint(canvas: Canvas) -> None:
            axes = canvas.add_subplot()
            _shaded_rows(axes, shares, edges_s)
            time.dress(axes)

        return paint

    return [
        book.draw(
            f"{service}: utilisation of instances", note + time.note, painter(utilisation.loc[shown]),
            size_in=size_in, scale=("0 %", "100 %"),
        ),
        book.draw(
            f"{service}: queues of instances", note + time.note, painter(queue.loc[shown] / most),
            size_in=size_in, scale=("0", f"{most:,.0f} waiting"),
        ),
    ]  # fmt: skip


def _shaded_rows(axes: Axes, shares: pd.DataFrame, edges_s: np.ndarray) -> None:
    """Draw one row of shades per index entry; neighbours of one shade are one rectangle, and a shade is one path."""
    values = shares.to_numpy(dtype=float)
    levels = np.where(np.isnan(values), -1, np.clip(np.nan_to_num(values) * len(sketches.SHADES), 0, 7)).astype(int)
    rectangles: dict[int, list[np.ndarray]] = {}
    for row, cells in enumerate(levels):
        starts = np.flatnonzero(np.diff(cells, prepend=-2))
        for start, end in zip(starts, [*starts[1:], len(cells)], strict=True):
            left, right, top, bottom = edges_s[start], edges_s[end], row - 0.46, row + 0.46
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
            rectangles.setdefault(int(cells[start]), []).append(corners)
    for level, found in rectangles.items():
        if level >= 0:
            path = Path.make_compound_path(*(Path(corners, closed=True) for corners in found))
            axes.add_patch(PathPatch(path, facecolor=sketches.SHADES[level], edgecolor="none"))
    size = 8.0 if len(shares) <= 30 else 7.0
    axes.set_yticks(range(len(shares)), [str(name) for name in shares.index], fontsize=size)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
