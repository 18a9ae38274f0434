"""Pictures of how good decisions were: regret against an omniscient choice, imbalance of load over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from testbed.analysis.dyncast.decisions.evaluation import AS_GOOD_MS, Evaluation
from testbed.analysis.dyncast.decisions.stability import WINDOW_S
from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.plots import style

_MOST_CURVES = 7
_MOST_POINTS = 240


def evaluated(book: Sketchbook, evaluation: Evaluation, time: TimeAxis) -> list[Figure]:
    """Draw regret and imbalance by service."""
    decisions = evaluation.decisions.dropna(subset="regret_ms")
    balance = evaluation.balance.dropna(subset="imbalance")
    return [
        *([] if decisions.empty else [_regret(book, decisions)]),
        *([] if balance.empty else [_imbalance(book, balance, time)]),
    ]


def _regret(book: Sketchbook, decisions: pd.DataFrame) -> Figure:
    groups = dict(list(decisions.groupby("service", observed=True))[:_MOST_CURVES])

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        values = {str(service): group["regret_ms"].to_numpy(dtype=float) for service, group in groups.items()}
        # Many decisions cost nothing, which has no place on a logarithmic axis.
        shown = {service: np.maximum(regret_ms, AS_GOOD_MS) for service, regret_ms in values.items()}
        end_ms = style.value_axis(axes, "regret (ms)", np.concatenate(list(shown.values())))
        for index, (service, regret_ms) in enumerate(shown.items()):
            style.share_curve(
                axes, regret_ms, len(regret_ms), end_ms, color=style.SERIES[index],
                linestyle=style.DASHES[index % 5], label=service,
            )  # fmt: skip
        style.share_axis(axes, "share of decisions")
        sketches.legend_below(canvas, axes)

    note = (
        "How much longer a flow was to be expected to take where it was sent than at the instance that one who knew "
        f"all would have taken. What cost less than {AS_GOOD_MS:g} ms is drawn as that much."
    )
    return book.draw("Regret of decisions", note, paint)


def _imbalance(book: Sketchbook, balance: pd.DataFrame, time: TimeAxis) -> Figure:
    groups = dict(list(balance.groupby("service", observed=True))[:_MOST_CURVES])
    edges_s = time.edges_s(least_step_s=WINDOW_S, most_steps=_MOST_POINTS)
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for index, (service, group) in enumerate(groups.items()):
            step = time.steps(group["time_s"], edges_s)
            mean = group["imbalance"].groupby(step).mean().reindex(range(len(middle_s)))
            axes.plot(
                middle_s, mean, color=style.SERIES[index], linestyle=style.DASHES[index % 5], linewidth=1.1,
                label=str(service),
            )  # fmt: skip
        axes.set_ylabel("imbalance")
        axes.set_ylim(bottom=0)
        time.dress(axes)
        sketches.legend_below(canvas, axes)

    note = f"Coefficient of variation of load per worker over the instances: 0 is even. {time.note}".strip()
    return book.draw("Imbalance of load", note, paint)
