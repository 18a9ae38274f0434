"""`where_flows_went.png`: from which ingress to which instance, per service."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from testbed.analysis.flows.attribution import directory, seen_flows, served_flows
from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

NAME = "where_flows_went.png"
NOBODY = "no instance"
MOST_COLUMNS = 24  # beyond, instances of a site are taken together

_DARK = 0.45  # share from which white text reads better


def flow_counts(service: str, flows: pd.DataFrame, instances: pd.DataFrame) -> pd.DataFrame:
    """Count a service's flows: one row per ingress, one column per instance (or site), and those nobody served."""
    flows = flows[flows["service"] == service]
    known = instances[instances["service"] == service].sort_values(["site"], kind="stable")
    by, columns = ("instance", list(known.index))
    if len(columns) > MOST_COLUMNS:
        by, columns = "site", sorted(known["site"].dropna().unique())
    to = flows[by].astype(object).where(flows[by].notna(), NOBODY)
    origin = flows["ingress"].astype(object).where(flows["ingress"].notna(), "unknown ingress")
    counts = pd.crosstab(origin, to)
    if NOBODY in counts.columns:
        columns = [*columns, NOBODY]
    return counts.reindex(columns=columns, fill_value=0)


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when no flow was offered."""
    flows, instances = run.counting(served_flows(run, seen_flows(run)), "due_s"), directory(run)
    tables = {service: flow_counts(service, flows, instances) for service in sorted(flows["service"].dropna().unique())}
    if not tables:
        raise style.NothingToDrawError("no flows were offered")
    widths = [max(2.0, 0.62 * table.shape[1]) for table in tables.values()]
    rows = max(len(table) for table in tables.values())
    title = f"Where flows went: {run.scenario}, policy {run.policy}"
    with style.canvas(
        path, max(6.0, 1.6 + sum(widths) + 0.9 * len(widths)), 2.6 + 0.36 * rows, title, style.marks(run)
    ) as figure:
        panels = figure.subplots(1, len(tables), squeeze=False, width_ratios=widths)[0]
        for axes, (service, counts) in zip(panels, tables.items(), strict=True):
            _heat_map(axes, counts)
            axes.set_title(f"{service}: {int(counts.to_numpy().sum()):,} flows")
        panels[0].set_ylabel("ingress")
        scale = figure.colorbar(panels[-1].collections[0], ax=list(panels), pad=0.01, aspect=18)
        scale.set_label("share of the ingress's flows")
        scale.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        scale.outline.set_visible(False)


def _heat_map(axes: Axes, counts: pd.DataFrame) -> None:
    shares = counts.div(counts.sum(axis=1), axis=0).to_numpy()
    axes.pcolormesh(shares, cmap=style.SHADES, vmin=0, vmax=1, edgecolors="white", linewidth=1.0)
    for row in range(counts.shape[0]):
        for column in range(counts.shape[1]):
            count = counts.iat[row, column]
            if count:
                colour = "white" if shares[row, column] > _DARK else "black"
                axes.text(column + 0.5, row + 0.5, f"{count:,}", color=colour, ha="center", va="center", fontsize=7.5)
    axes.set_xticks(
        [column + 0.5 for column in range(counts.shape[1])],
        counts.columns,
        rotation=40,
        ha="right",
        rotation_mode="anchor",
        fontsize=8,
    )
    axes.set_yticks([row + 0.5 for row in range(counts.shape[0])], counts.index, fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
