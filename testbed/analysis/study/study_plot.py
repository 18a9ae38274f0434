"""`comparison-<service>.png`: means of a study with their confidence intervals, by policy and by factor.

One column of panels per measure. With a numeric factor, lines over it, one per policy; else one point per policy. Other
factors make small multiples, one row of panels per combination of their values. Means that rest on runs whose fidelity
is in doubt are ringed in the colour of the mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testbed.analysis.measures import run_measures
from testbed.analysis.plots import style
from testbed.analysis.study import factors
from testbed.analysis.study.baselines import POLICY
from testbed.analysis.study.study_figures import StudyFigures, marks
from testbed.analysis.system import Measure

_OF_REQUESTS = ("completion_mean_ms", "completion_p95_ms", "unserved_percent")
_OF_STREAMS = ("rtp_loss_percent", "rtp_jitter_mean_ms", "rtp_delay_mean_ms")
_OTHERWISE = ("unserved_percent",)
_MOST_ROWS = 6  # of panels in one picture; what is more goes into another
_MARKERS = "osD^vPX*"
_MOST_TWINS = 3
_APART = 0.12  # of a category, between the points of two policies
_RING: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 10, "markerfacecolor": "none"}
_RING |= {"markeredgewidth": 1.4, "markeredgecolor": style.MARK_COLOUR}


@dataclass(frozen=True)
class Layout:
    """What stands where: `x` is a factor or the policy, `twins` change together with it, `rows` are small multiples.

    `places`: the values of x; `is_numeric`: they are numbers.
    """

    x: str
    places: tuple[Any, ...]
    is_numeric: bool
    rows: tuple[str, ...]
    twins: tuple[str, ...]
    policies: tuple[str, ...]


def draw(figures: StudyFigures, comparison: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw a study that was compared into `folder`, in place of what an earlier one left; return the pictures."""
    for old in folder.glob("comparison-*.png"):
        old.unlink()
    said = marks(figures)
    services = comparison.groupby("service", sort=True)
    return [
        path
        for service, table in services
        for path in _pictures(str(service), table, layout_of(figures, table), said, folder)
    ]


def layout_of(figures: StudyFigures, comparison: pd.DataFrame) -> Layout:
    """Lay out rows of a comparison.

    The axis is that of the numeric factor of most values; failing that, of policies, or of what else is compared.
    """
    twins = factors.independent(figures.runs, figures.factors)
    numeric = [factor for factor in twins if pd.api.types.is_numeric_dtype(comparison[factor])]
    baselines = set(comparison["baseline"])
    policies = tuple(sorted(comparison[POLICY].unique(), key=lambda name: (name not in baselines, name)))
    if not numeric and (len(policies) > 1 or not twins):
        return Layout(POLICY, policies, False, tuple(twins), (), policies)
    x = max(numeric or twins, key=lambda factor: comparison[factor].nunique())
    rows = tuple(factor for factor in twins if factor != x)
    return Layout(x, tuple(sorted(comparison[x].unique())), bool(numeric), rows, twins[x], policies)


def _pictures(service: str, table: pd.DataFrame, layout: Layout, said: Sequence[str], folder: Path) -> Iterator[Path]:
    measured = set(table["measure"])
    candidates = (_OF_REQUESTS, _OF_STREAMS, _OTHERWISE)
    known = run_measures.measures()
    measures = [known[key] for key in next(keys for keys in candidates if keys[0] in measured) if key in measured]
    cases = list(cases_of(table, layout.rows))
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"comparison-{service}")
    title = f"{service}: means over seeds and their 95 % confidence intervals"
    for first in range(0, len(cases), _MOST_ROWS):
        path = folder / (f"{stem}-{first // _MOST_ROWS + 1}.png" if first else f"{stem}.png")
        shown = cases[first : first + _MOST_ROWS]
        height_in = 1.4 + 2.5 * len(shown) + 0.3 * len(said)
        with style.canvas(path, 3.6 * max(2, len(measures)), height_in, title, said) as figure:
            _draw_cases(figure, shown, measures, layout)
        yield path


def cases_of(table: pd.DataFrame, rows: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give each combination of values of `rows`: what it is called, and its part of the table."""
    if rows:
        for values, part in table.groupby(list(rows), sort=True, dropna=False):
            yield factors.case_name(rows, values), part
    else:
        yield "", table


def _draw_cases(
    figure: Figure, cases: Sequence[tuple[str, pd.DataFrame]], measures: Sequence[Measure], layout: Layout
) -> None:
    panels = figure.subplots(len(cases), len(measures), squeeze=False, sharex=True, sharey="col")
    for (name, part), row in zip(cases, panels, strict=True):
        for measure, axes in zip(measures, row, strict=True):
            draw_panel(axes, part[part["measure"] == measure.key], layout)
            axes.set_title(measure.title)
            axes.set_ylabel(measure.unit)
        if name:
            row[0].set_title(f"{name}\n{measures[0].title}")
    everything = pd.concat([part for _, part in cases])
    for measure, column in zip(measures, panels.T, strict=True):
        value_axis(column[0], everything[everything["measure"] == measure.key])
    for axes in panels[-1]:
        place_axis(axes, layout)
    handles = {label: handle for handle, label in zip(*panels[0][0].get_legend_handles_labels(), strict=True)}
    if layout.x == POLICY:
        handles = {}
    if is_doubtful(everything).any():
        handles["rests on runs in doubt"] = Line2D([], [], **_RING)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)))


def draw_panel(axes: Axes, part: pd.DataFrame, layout: Layout) -> None:
    """Draw the means of one measure in one case, with their intervals, policy by policy."""
    colours = style.policy_colours(layout.policies)
    for index, policy in enumerate(layout.policies):
        means = part[part[POLICY] == policy].sort_values(layout.x)
        at, mean = _places(means, index, layout), means["mean"].to_numpy(dtype=float)
        below, above = mean - means["ci95_low"].to_numpy(dtype=float), means["ci95_high"].to_numpy(dtype=float) - mean
        axes.errorbar(
            at,
            mean,
            yerr=[below, above],  # NaN, and not drawn, where there is one seed
            color=colours[policy],
            linestyle=style.DASHES[index % len(style.DASHES)] if layout.is_numeric else "none",
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=4.5,
            elinewidth=1.1,
            capsize=3,
            label=policy,
        )
        doubtful = is_doubtful(means).to_numpy()
        axes.plot(at[doubtful], mean[doubtful], **_RING)


def _places(means: pd.DataFrame, index: int, layout: Layout) -> np.ndarray:
    """Return where on the axis the means of the policy with that index stand."""
    if layout.is_numeric:
        return np.asarray(means[layout.x], dtype=float)
    places = np.asarray(means[layout.x].map(layout.places.index), dtype=float)
    return places if layout.x == POLICY else places + (index - (len(layout.policies) - 1) / 2) * _APART


def place_axis(axes: Axes, layout: Layout) -> None:
    """Scale and name the axis along which values of `layout.x` stand."""
    if layout.is_numeric:
        low, high = min(layout.places), max(layout.places)
        if low > 0 and high / low > style.WIDE_SPREAD:
            axes.set_xscale("log")
            style.plain_ticks(axes.xaxis, high / low)
    else:
        is_crowded = len(layout.places) > 2
        axes.set_xticks(range(len(layout.places)), layout.places)
        axes.tick_params("x", rotation=30 if is_crowded else 0)
        axes.set_xlim(-0.5, len(layout.places) - 0.5)
    if layout.x != POLICY:
        axes.set_xlabel("\n".join([layout.x, *(f"with it {twin}" for twin in layout.twins[:_MOST_TWINS])]))


def value_axis(axes: Axes, means: pd.DataFrame) -> None:
    """Scale the axis that a column of panels shares: from nought, or logarithmic where the spread is wide."""
    low, high = means["mean"].min(), means["mean"].max()
    if low > 0 and high / low > style.WIDE_SPREAD:
        axes.set_yscale("log", nonpositive="clip")
        style.plain_ticks(axes.yaxis, high / low)
    else:
        top = np.nanmax([means["ci95_high"].max(), high])
        top = float(top) or 1.0
        axes.set_ylim(-0.02 * top, 1.08 * top)  # points at nought stay whole


def is_doubtful(rows: pd.DataFrame) -> pd.Series:
    """Return which rows of a comparison rest on runs whose fidelity is in doubt."""
    return rows["valid"] < rows["runs"]
