"""One picture of runs of function delivery: response times, their parts, where functions went, and all over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator

from testbed.analysis.alto import side_by_side
from testbed.analysis.alto.side_by_side import NOWHERE, PARTS
from testbed.analysis.measures.comparison import labels
from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

_COLOURS = dict(
    zip(PARTS, (style.BLUE, style.GREY, style.SKY, style.PURPLE, style.VERMILION, style.GREEN), strict=True)
)
_CLUSTER_COLOURS = (style.ORANGE, style.BLUE, style.GREEN, style.PURPLE, style.SKY, style.WINE, style.OLIVE)
_UNANSWERED = "#D0D0D0"
_BELOW = (0.5, -0.16)  # of the axes


def draw(runs: Sequence[RunData], path: Path) -> Path:
    """Draw runs side by side into `path`."""
    names = labels(runs)
    colours = style.policy_colours(names)
    rows = {name: side_by_side.invocations(run) for name, run in zip(names, runs, strict=True)}
    title = f"{', '.join(dict.fromkeys(run.scenario for run in runs))}: {', '.join(names)}"
    with style.canvas(path, 10.0, 7.6, title, style.marks(*runs, names=names)) as figure:
        curves, parts, places, times = figure.subplots(2, 2).flat
        _curves(curves, rows, colours)
        _parts(parts, dict(zip(names, runs, strict=True)))
        _places(places, dict(zip(names, runs, strict=True)))
        _over_time(times, dict(zip(names, runs, strict=True)), rows, colours)
    return path


def _curves(axes: Axes, rows: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> None:
    axes.set_title("Response time of invocations")
    answered = {name: table.loc[table["is_answered"], "response_ms"].to_numpy() for name, table in rows.items()}
    pooled = np.concatenate([*answered.values()])
    if not len(pooled):
        style.nothing(axes, "no invocation was answered")
        return
    end = style.value_axis(axes, "response time (ms)", pooled)
    if axes.get_xscale() == "log":
        _few_ticks(axes.xaxis)
    for number, (name, values) in enumerate(answered.items()):
        if len(values):
            label = f"{name}: mean {values.mean():,.0f} ms, {len(values) / len(rows[name]):.0%} answered"
            dash = style.DASHES[number % len(style.DASHES)]
            style.share_curve(axes, values, len(rows[name]), end, color=colours[name], linestyle=dash, label=label)
    style.share_axis(axes, "share of invocations")
    axes.legend(loc="upper center", bbox_to_anchor=_BELOW)


def _parts(axes: Axes, runs: Mapping[str, RunData]) -> None:
    axes.set_title("Of what response times consist, means")
    table = _labelled(runs, side_by_side.responses).set_index("label")
    done = np.zeros(len(table))
    for part, title in PARTS.items():
        lengths = table[part].fillna(0.0).clip(lower=0.0).to_numpy()
        axes.barh(range(len(table)), lengths, left=done, height=0.6, color=_COLOURS[part], label=title)
        done = done + lengths
    _rows(axes, list(table.index), "mean (ms)")
    axes.legend(loc="upper center", bbox_to_anchor=_BELOW, ncols=3)


def _places(axes: Axes, runs: Mapping[str, RunData]) -> None:
    axes.set_title("Where users were answered")
    table = _labelled(runs, side_by_side.places).dropna(subset="site")
    shares = table.pivot_table(index="label", columns="cluster", values="share_percent", sort=False).fillna(0.0)
    order = [
        label for label in dict.fromkeys(_labelled(runs, side_by_side.responses)["label"]) if label in shares.index
    ]
    shares = shares.reindex(order)
    clusters = sorted(name for name in shares.columns if name != NOWHERE)
    of = dict(zip(clusters, (_CLUSTER_COLOURS[number % 7] for number in range(len(clusters))), strict=True))
    done = np.zeros(len(shares))
    for cluster in [*clusters, *([NOWHERE] if NOWHERE in shares.columns else [])]:
        values = shares[cluster].to_numpy()
        label = "nowhere: refused" if cluster == NOWHERE else cluster
        axes.barh(range(len(shares)), values, left=done, height=0.6, color=of.get(cluster, _UNANSWERED), label=label)
        done = done + values
    _rows(axes, list(shares.index), "share of invocations (%)")
    axes.legend(loc="upper center", bbox_to_anchor=_BELOW, ncols=2)


def _over_time(
    axes: Axes, runs: Mapping[str, RunData], rows: Mapping[str, pd.DataFrame], colours: Mapping[str, str]
) -> None:
    axes.set_title("Response time of each invocation")
    for name, table in rows.items():
        answered = table[table["is_answered"]]
        since_s = answered["due_s"] - runs[name].start_s
        axes.plot(since_s, answered["response_ms"], ".", markersize=4, alpha=0.6, color=colours[name], label=name)
    axes.set_yscale("log")
    _few_ticks(axes.yaxis)
    axes.set_xlabel("due at (s)")
    axes.set_ylabel("response time (ms)")
    axes.legend(loc="best")


def _labelled(runs: Mapping[str, RunData], of: Callable[[RunData], pd.DataFrame]) -> pd.DataFrame:
    """Put tables of runs one below the other, sites of users together, each row with its label."""
    table = pd.concat([of(run).assign(policy=name) for name, run in runs.items()], ignore_index=True)
    table = table.sort_values("site", kind="stable")
    return table.assign(label=table["site"].astype(str) + ", " + table["policy"])


def _few_ticks(axis: Axis) -> None:
    """Label a logarithmic axis at 1 and 3 times powers of ten: half a page has no room for more."""
    style.plain_ticks(axis, 1.0)
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))


def _rows(axes: Axes, names: list[str], what: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(what)
