"""`instance_load.png`: utilisation and queue of every instance while the run lasted.

A few instances are drawn as lines, many as a heat map each, one row per instance.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

NAME = "instance_load.png"
MOST_LINES = 6
_TIME = "time since the workloads began (s)"
_FAULT_LINE = 95  # characters
_GAP_STEPS = 3


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when no instance reported load."""
    samples = run.instances
    if samples.empty:
        raise style.NothingToDrawError("no instance reported its load")
    samples = samples.assign(
        at_s=samples["time_s"] - run.start_s,
        instance=samples["instance"].astype(object),
        site=samples["site"].astype(object),
    )
    order = samples.drop_duplicates("instance").sort_values(["service", "site", "instance"])["instance"].tolist()
    title = f"Load of service instances: {run.scenario}, policy {run.policy}"
    as_lines = len(order) <= MOST_LINES
    height_in = 5.6 if as_lines else 1.5 + 2 * (0.55 + 0.21 * len(order))
    with style.canvas(path, 7.2, height_in, title, style.marks(run)) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        (_lines if as_lines else _heat_maps)(figure, upper, lower, samples, order)
        upper.set_title("Utilisation: busy share of workers", pad=6 if run.faults.empty else 16)
        lower.set_title("Queue: requests and packets waiting")
        lower.set_xlabel(_TIME)
        lower.set_xlim(min(0.0, samples["at_s"].min()), max(run.end_s - run.start_s, samples["at_s"].max()))
        _faults(run, (upper, lower))


def _lines(figure: Figure, upper: Axes, lower: Axes, samples: pd.DataFrame, order: list[str]) -> None:
    for index, name in enumerate(order):
        series = samples[samples["instance"] == name].sort_values("at_s")
        steps_s = series["at_s"].diff()
        is_gap = steps_s > _GAP_STEPS * steps_s.median()  # it did not run meanwhile: no line across
        series = series.assign(**{key: series[key].mask(is_gap) for key in ("utilisation", "queue_length")})
        colour = style.SERIES[index]
        workers = series["workers"].iloc[0]
        label = name if pd.isna(workers) else f"{name} ({workers:.0f} workers)"
        upper.plot(series["at_s"], series["utilisation"], label=label, color=colour, linewidth=1.2)
        lower.plot(series["at_s"], series["queue_length"], color=colour, linewidth=1.2)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0))
    upper.set_ylim(0, 1.03)
    lower.set_ylim(0, max(1.0, 1.05 * samples["queue_length"].max()))
    lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    lower.set_ylabel("waiting")
    upper.set_ylabel("utilisation")
    figure.legend(loc="outside lower center", ncols=min(3, len(order)))


def _heat_maps(figure: Figure, upper: Axes, lower: Axes, samples: pd.DataFrame, order: list[str]) -> None:
    steps_s = samples.groupby("instance")["at_s"].diff().dropna()
    step_s = max(float(steps_s.median()) if len(steps_s) else 1.0, 1e-3)
    first_s, last_s = samples["at_s"].min() - step_s, samples["at_s"].max()
    columns = int(np.clip(np.ceil((last_s - first_s) / step_s), 1, 400))
    edges_s = np.linspace(first_s, last_s, columns + 1)
    column = np.clip(np.searchsorted(edges_s, samples["at_s"], side="left") - 1, 0, columns - 1)
    for axes, quantity, label, top in (
        (upper, "utilisation", "utilisation", 1.0),
        (lower, "queue_length", "waiting", max(1.0, samples["queue_length"].max())),
    ):
        cells = samples.groupby(["instance", column])[quantity].mean().unstack()
        grid = cells.reindex(index=order, columns=range(columns)).ffill(axis=1, limit=1).to_numpy()
        image = axes.pcolormesh(
            edges_s, np.arange(len(order) + 1) - 0.5, grid, cmap=style.SHADES, vmin=0, vmax=top, rasterized=True
        )
        axes.set_yticks(range(len(order)), order, fontsize=8)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.grid(visible=False)
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.04, label=label)
        bar.outline.set_visible(False)
        if quantity == "utilisation":
            bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _faults(run: RunData, panels: tuple[Axes, ...]) -> None:
    """Draw when faults began and ended, numbered; what they hit stands below. Those outside the time are left out."""
    first_s, last_s = panels[0].get_xlim()
    legend: dict[str, int] = {}
    for fault in run.faults.itertuples():
        at_s = fault.time_s - run.start_s
        if not first_s <= at_s <= last_s or fault.event not in ("begin", "end"):
            continue
        begins = fault.event != "end"
        for axes in panels:
            axes.axvline(at_s, color=style.VERMILION, linewidth=1.0, linestyle=(0, (2, 2) if begins else (1, 4)))
        what = " ".join(str(word) for word in (fault.fault, fault.target) if not pd.isna(word))
        number = legend.setdefault(what, len(legend) + 1)
        panels[0].annotate(
            f"{number}" if begins else f"({number})",
            (at_s, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            color=style.VERMILION,
            fontsize=8,
            ha="center",
            va="bottom",
        )
    if legend:
        lines = textwrap.wrap(";  ".join(f"{number} {what}" for what, number in legend.items()), _FAULT_LINE)
        panels[-1].set_xlabel("\n".join([_TIME, "faults (in brackets: their end):", *lines]))
