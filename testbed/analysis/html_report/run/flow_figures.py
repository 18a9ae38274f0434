"""Pictures of flows: how long requests took, who got the new ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.plots import style
from testbed.analysis.plots.completion_plot import quantile_guides
from testbed.analysis.run_data.flow_kinds import is_request

MOST_PICTURES = 6  # of one kind, a service each; what is beyond stands in the tables
_MOST_CURVES = 7


def completion(book: Sketchbook, flows: pd.DataFrame) -> list[Figure]:
    """Draw completion times: all services together, then each by ingress; takes the summary's flows."""
    requests = flows.loc[is_request(flows), ["service", "workload", "ingress", "outcome_class", "completion_ms"]]
    answered = requests[requests["outcome_class"] == "ok"].dropna(subset="completion_ms")
    if answered.empty:
        return []
    services = sorted(answered["service"].unique())
    curves = ["service", "workload"] if requests["workload"].nunique() > len(services) else ["service"]
    note = "Share of the requests offered that were answered within a time; what never was keeps the curve below 100 %."
    figures = [_curves(book, "Completion time of requests", note, requests, curves)]
    for service in services[:MOST_PICTURES]:
        own = requests[requests["service"] == service]
        if own["ingress"].nunique() > 1:
            figures.append(_curves(book, f"{service}: completion time by ingress", "", own, ["ingress"]))
    return figures


def new_flows(book: Sketchbook, flows: pd.DataFrame, time: TimeAxis) -> list[Figure]:
    """Draw, per service, which site got how many new flows per second."""
    figures = []
    edges_s = time.edges_s(least_step_s=1.0, most_steps=120)
    step = time.steps(flows["started_s"], edges_s)
    seen = pd.DataFrame({"step": step, "service": flows["service"].to_numpy(), "site": flows["site"].to_numpy()})
    seen = seen[(step >= 0) & seen["site"].notna()]
    for service, own in list(seen.groupby("service", observed=True))[:MOST_PICTURES]:
        counts = pd.crosstab(own["step"], own["site"]).reindex(range(len(edges_s) - 1), fill_value=0)
        figures.append(_stack(book, str(service), most_first(counts), edges_s, time))
    return figures


def most_first(amounts: pd.DataFrame, most: int = _MOST_CURVES) -> pd.DataFrame:
    """Order columns by what they amount to, the largest first; those beyond `most` are taken together."""
    order = amounts.sum().sort_values(ascending=False, kind="stable").index
    amounts = amounts[order]
    if len(order) <= most:
        return amounts
    rest = amounts.iloc[:, most - 1 :]
    return amounts.iloc[:, : most - 1].assign(**{f"{rest.shape[1]} others": rest.sum(axis=1)})


def _curves(book: Sketchbook, title: str, note: str, requests: pd.DataFrame, by: list[str]) -> Figure:
    groups = {", ".join(map(str, key)): rows for key, rows in requests.groupby(by, observed=True)}
    order = sorted(groups, key=lambda name: -len(groups[name]))[:_MOST_CURVES]
    if len(groups) > len(order):
        note = f"{note} The {len(order)} busiest of {len(groups)}.".strip()
    values = {name: _answered_ms(groups[name]) for name in order}

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        end_ms = style.value_axis(axes, "completion time (ms)", np.concatenate([*values.values(), np.empty(0)]))
        for index, name in enumerate(sorted(order)):
            line: dict[str, Any] = {
                "color": style.SERIES[index],
                "linestyle": style.DASHES[index % 5],
                "label": name,
            }
            if len(values[name]):
                style.share_curve(axes, values[name], len(groups[name]), end_ms, **line)
            else:
                axes.plot([], [], **line)
        style.share_axis(axes, "share of requests")
        quantile_guides(axes)
        sketches.legend_below(canvas, axes)

    return book.draw(title, note, paint)


def _answered_ms(requests: pd.DataFrame) -> np.ndarray:
    return np.asarray(requests.loc[requests["outcome_class"] == "ok", "completion_ms"].dropna())


def _stack(book: Sketchbook, service: str, counts: pd.DataFrame, edges_s: np.ndarray, time: TimeAxis) -> Figure:
    per_s = counts.to_numpy().T / np.diff(edges_s)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        # One more value, so that the last step is as wide as the others.
        held = np.concatenate([per_s, per_s[:, -1:]], axis=1)
        axes.stackplot(
            edges_s, held, labels=[str(name) for name in counts.columns], colors=style.SERIES, step="post",
            linewidth=0,
        )  # fmt: skip
        axes.set_ylabel("new flows per second")
        axes.set_ylim(bottom=0)
        time.dress(axes)
        sketches.legend_below(canvas, axes, columns=3)

    return book.draw(f"{service}: new flows by the site that served them", time.note, paint)
