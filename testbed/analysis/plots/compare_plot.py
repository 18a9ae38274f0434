"""One picture of several runs: what each policy did to completion, placement, refusals and RTP.

Every policy keeps its colour in all panels. Knows nothing of one run's own pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from testbed.analysis.measures.comparison import labels
from testbed.analysis.measures.summary import Summary, streams, summarise
from testbed.analysis.plots import style
from testbed.analysis.plots.completion_plot import quantile_guides
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData


def compare(runs: Sequence[RunData], path: Path) -> Path:
    """Draw runs side by side into `path`. Raises ValueError without runs."""
    if not runs:
        raise ValueError("there are no runs to compare; give at least one")
    names = labels(runs)
    colours = _colours(names, runs)
    summaries = [summarise(run) for run in runs]
    title = f"{', '.join(dict.fromkeys(run.scenario for run in runs))}: {', '.join(names)}"
    with style.canvas(path, 10.0, 7.4, title, style.marks(*runs, names=names)) as figure:
        completion, placement, losses, jitter = figure.subplots(2, 2).flat
        _completion(completion, names, colours, runs)
        _placement(placement, names, colours, summaries)
        _losses(losses, names, colours, summaries)
        _jitter(jitter, names, colours, runs)
        handles = [Patch(color=colours[name]) for name in names]
        shown = [
            f"{name} ({run.mark.split(':')[0]})" if run.mark else name for name, run in zip(names, runs, strict=True)
        ]
        figure.legend(handles, shown, loc="outside lower center", ncols=len(names), fontsize=9, title="policy")
    return path


def _colours(names: Sequence[str], runs: Sequence[RunData]) -> dict[str, str]:
    """Colour by policy; runs of one policy under several names get colours of their own."""
    if len({run.policy for run in runs}) == len(runs):
        by_policy = style.policy_colours(run.policy for run in runs)
        return {name: by_policy[run.policy] for name, run in zip(names, runs, strict=True)}
    return {name: style.SERIES[index % 8] for index, name in enumerate(names)}


def _completion(axes: Axes, names: Sequence[str], colours: Mapping[str, str], runs: Sequence[RunData]) -> None:
    axes.set_title("Completion time of requests")
    answered, offered = {}, {}
    for name, run in zip(names, runs, strict=True):
        requests = run.counting(run.flows[is_request(run.flows)], "due_s")
        answered[name] = requests.loc[requests["outcome"] == "ok", "completion_ms"].dropna().to_numpy()
        offered[name] = len(requests)
    if _curves(axes, answered, offered, colours, "completion time (ms)", "no request was answered"):
        style.share_axis(axes, "share of requests offered")
        quantile_guides(axes)


def _placement(axes: Axes, names: Sequence[str], colours: Mapping[str, str], summaries: Sequence[Summary]) -> None:
    axes.set_title("Share of flows by site")
    shares = pd.DataFrame(
        {name: item.sites.set_index("site")["share"] for name, item in zip(names, summaries, strict=True)}
    )
    if shares.empty or not shares.notna().to_numpy().any():
        style.nothing(axes, "no flow was served")
        return
    _bars(axes, 100 * shares.fillna(0.0), colours, ".0f")
    axes.set_ylabel("share of flows served (%)")


def _losses(axes: Axes, names: Sequence[str], colours: Mapping[str, str], summaries: Sequence[Summary]) -> None:
    axes.set_title("What was refused or lost")
    table = pd.DataFrame({name: _lost_percent(item) for name, item in zip(names, summaries, strict=True)})
    _bars(axes, table, colours, ".2f")
    axes.set_ylabel("share (%)")


def _lost_percent(summary: Summary) -> dict[str, float]:
    requests = summary.services[is_request(summary.services)]
    offered = requests["offered"].sum()
    echo = summary.rtp[summary.rtp["direction"] == "echo"]
    packets = echo["packets"].sum()
    return {
        "requests\nrefused": 100 * requests["refused"].sum() / offered if offered else np.nan,
        "requests timed\nout or failed": 100 * (requests["timeout"] + requests["failed"]).sum() / offered
        if offered
        else np.nan,
        "RTP packets\nlost": (echo["loss_percent"] * echo["packets"]).sum() / packets if packets else np.nan,
    }


def _jitter(axes: Axes, names: Sequence[str], colours: Mapping[str, str], runs: Sequence[RunData]) -> None:
    axes.set_title("Jitter of RTP streams, round trip")
    jitter_ms, offered = {}, {}
    for name, run in zip(names, runs, strict=True):
        table = streams(run)
        echo = table[table["direction"] == "echo"]
        jitter_ms[name] = echo["jitter_ms"].dropna().to_numpy()
        offered[name] = len(echo)
    if _curves(axes, jitter_ms, offered, colours, "interarrival jitter, RFC 3550 (ms)", "no RTP stream was echoed"):
        style.share_axis(axes, "share of streams")


def _curves(
    axes: Axes,
    values: Mapping[str, np.ndarray],
    offered: Mapping[str, int],
    colours: Mapping[str, str],
    label: str,
    otherwise: str,
) -> bool:
    """Draw one curve per name, with its mean and p95 in the legend; return whether there was anything to draw."""
    pooled = np.concatenate(list(values.values()))
    if not len(pooled):
        style.nothing(axes, otherwise)
        return False
    end = style.value_axis(axes, label, pooled)
    for index, (name, found) in enumerate(values.items()):
        if len(found):
            figures = f"mean {_three_digits(found.mean())} ms, p95 {_three_digits(np.quantile(found, 0.95))} ms"
            dash = style.DASHES[index % len(style.DASHES)]
            style.share_curve(axes, found, offered[name], end, color=colours[name], linestyle=dash, label=figures)
    axes.legend(loc="best", handlelength=2.6)
    return True


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bars(axes: Axes, table: pd.DataFrame, colours: Mapping[str, str], form: str) -> None:
    """Draw groups of bars, one group per row, one bar per column, each with its value."""
    width = 0.8 / table.shape[1]
    for index, name in enumerate(table.columns):
        x = np.arange(len(table)) + (index - (table.shape[1] - 1) / 2) * width
        bars = axes.bar(x, table[name].fillna(0.0), width * 0.92, color=colours[name])
        texts = ["none" if pd.isna(value) else format(value, form) for value in table[name]]
        if len(table) * table.shape[1] <= 24:
            axes.bar_label(bars, texts, padding=1, fontsize=7.5)
    turned = len(table) > 5
    axes.set_xticks(range(len(table)), table.index, rotation=35 if turned else 0, ha="right" if turned else "center")
    axes.set_ylim(0, max(1.0, 1.12 * float(np.nanmax(table.to_numpy(), initial=0.0))))
    axes.grid(visible=False, axis="x")
