"""`completion_cdf.png`: how long requests took, per service and workload, those that never ended included."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from testbed.analysis.flows.consistency import classified
from testbed.analysis.plots import style
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData

NAME = "completion_cdf.png"


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when no request was answered."""
    requests = classified(run.counting(run.flows[is_request(run.flows)], "due_s"))
    answered = requests[requests["outcome_class"] == "ok"]["completion_ms"].dropna()
    if answered.empty:
        raise style.NothingToDrawError("no request was answered" if len(requests) else "no requests were offered")
    title = f"Completion time of requests: {run.scenario}, policy {run.policy}"
    with style.canvas(path, 6.4, 4.2, title, style.marks(run)) as figure:
        axes = figure.add_subplot()
        end_ms = style.value_axis(axes, "completion time (ms)", answered.to_numpy())
        groups = list(requests.groupby(["service", "workload"], observed=True))
        for index, ((service, workload), flows) in enumerate(groups):
            colour, dash = style.SERIES[index % 8], style.DASHES[index % 5]
            values = flows.loc[flows["outcome_class"] == "ok", "completion_ms"].dropna().to_numpy()
            label = f"{service}, {workload}: {_outcomes(flows)}"
            if len(values):
                style.share_curve(axes, values, len(flows), end_ms, label=label, color=colour, linestyle=dash)
            else:
                axes.plot([], [], label=label, color=colour, linestyle=dash)
        style.share_axis(axes, "share of requests offered")
        quantile_guides(axes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))


def quantile_guides(axes: Axes) -> None:
    """Mark where the median and the 95th percentile of offered requests lie."""
    for share in (0.5, 0.95):
        axes.axhline(share, color=style.GREY, linewidth=0.7, linestyle=":", zorder=1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95])


def _outcomes(flows: pd.DataFrame) -> str:
    counts = flows["outcome_class"].value_counts(sort=False)
    words = {"ok": "answered", "timeout": "timed out"}
    shown = [f"{count:,} {words.get(name, name)}" for name, count in counts.items() if count or name == "ok"]
    return ", ".join(shown)
