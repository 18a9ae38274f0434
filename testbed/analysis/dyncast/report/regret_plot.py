"""`regret.png`: how much longer flows should take than where an oracle had sent them, and how even the load was."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from testbed.analysis.dyncast.decisions.evaluation import AS_GOOD_MS, evaluate
from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

NAME = "regret.png"


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when nobody decided anything."""
    evaluated = evaluate(run)
    decisions = evaluated.decisions.dropna(subset="regret_ms")
    if decisions.empty:
        raise style.NothingToDrawError("no decision can be evaluated")
    title = f"Decisions against an oracle: {run.scenario}, policy {run.policy}"
    with style.canvas(path, 6.4, 6.2, title, style.marks(run)) as figure:
        upper, lower = figure.subplots(2, 1)
        end_ms = _regret_axis(upper, float(decisions["regret_ms"].max()))
        for index, row in enumerate(evaluated.regret.itertuples()):
            line = {"color": style.SERIES[index % 8], "linestyle": style.DASHES[index % 5]}
            regret_ms = decisions.loc[decisions["service"] == row.service, "regret_ms"].to_numpy()
            label = f"{row.service}: {row.decisions:,} decisions, {row.best_percent:.0f} % within 1 ms of the best"
            style.share_curve(upper, regret_ms, len(regret_ms), end_ms, label=label, **line)
            over_time = evaluated.balance[evaluated.balance["service"] == row.service]
            lower.plot(over_time["time_s"] - run.start_s, over_time["imbalance"], **line)
        style.share_axis(upper, "share of decisions")
        upper.legend(loc="lower right")
        lower.set_title("Imbalance of the load per worker over the instances (0: even)")
        lower.set_xlabel("time since the workloads began (s)")
        lower.set_ylabel("coefficient of variation")
        lower.set_ylim(0, None)


def _regret_axis(axes: Axes, most_ms: float) -> float:
    """Label the x axis, logarithmic but for what is as good as the best; return where it ends."""
    axes.set_xscale("symlog", linthresh=AS_GOOD_MS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("regret (ms)")
    end_ms = max(10 * AS_GOOD_MS, 1.3 * most_ms)
    axes.set_xlim(0, end_ms)
    return end_ms
