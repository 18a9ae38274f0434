"""Pictures of RTP streams: loss, jitter, delay, and how G.711 calls sound."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.plots import style
from testbed.analysis.run_data.flow_kinds import WAYS

_MOST_SERVICES = 4  # two curves each


def stream_quality(book: Sketchbook, streams: pd.DataFrame, calls: pd.DataFrame) -> list[Figure]:
    """Draw shares of streams by loss, jitter and delay, and of G.711 streams by opinion score.

    Takes `summary.streams` and `mos.call_quality`.
    """
    figures = [
        _curves(book, title, note, streams, column, label)
        for title, note, column, label in (
            ("Packets lost", "Share of streams that lost at most so much.", "loss_percent", "packets lost (%)"),
            ("Jitter", "Interarrival jitter by RFC 3550 at the end of each stream.", "jitter_ms", "jitter (ms)"),
            ("Delay", "Mean delay of each stream.", "delay_mean_ms", "delay (ms)"),
        )
        if streams[column].notna().any()
    ]
    if not calls.empty:
        note = "Estimated by the E-model (ITU-T G.107) from delay, jitter and loss, for audio in G.711."
        figures.append(_curves(book, "How calls sound", note, calls, "mos", "mean opinion score"))
    return figures


def _curves(book: Sketchbook, title: str, note: str, streams: pd.DataFrame, column: str, label: str) -> Figure:
    services = sorted(streams["service"].unique())[:_MOST_SERVICES]
    shown = streams[streams["service"].isin(services)]

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        end = _value_axis(axes, shown[column], label)
        for (service, direction), group in shown.groupby(["service", "direction"]):
            values = group[column].dropna().to_numpy()
            if len(values):
                style.share_curve(
                    axes, values, len(group), end, color=style.SERIES[services.index(service)],
                    linestyle="-" if direction == "echo" else "--",
                    label=f"{service}, {WAYS.get(direction, direction)}",
                )  # fmt: skip
        style.share_axis(axes, "share of streams")
        sketches.legend_below(canvas, axes)

    return book.draw(title, note, paint)


def _value_axis(axes: Axes, values: pd.Series, label: str) -> float:
    if values.name != "mos":
        return style.value_axis(axes, label, values.dropna().to_numpy())
    axes.set_xlabel(label)
    axes.set_xlim(1, 4.5)
    return 4.5
