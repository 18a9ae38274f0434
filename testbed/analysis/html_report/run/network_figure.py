"""The picture of the network as it was loaded: links by what they carried, sites by how busy they were.

Owns how link statistics of a manifest become loads. Reads `topology.yaml`, which a run leaves beside its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.run_data.loading import RunData, RunDataError
from testbed.records import result_files
from topologies import yaml_form
from topologies.drawing.labels import Labels
from topologies.drawing.layout import layout
from topologies.roles import Kind
from topologies.spec import Topology, TopologyError

FILE = "topology.yaml"
_WIDE_IN, _MOST_HEIGHT_IN, _MARGIN_IN = 7.6, 5.6, 0.35
_MOST_NARROW_NODES = 8  # of a network that is legible on a phone as a whole
_MOST_LABELLED_ROUTERS, _MOST_LABELLED_LINKS = 40, 40
_LEAST_SHOWN_SHARE = 0.05  # of the busiest link, from which a link's load is written beside it
_SITE_PT, _ROUTER_PT, _LOAD_PT = 8.5, 6.8, 6.8
_NODE_RADIUS_IN = 0.09
_BOLD_WIDER = 1.15


def read_topology(run: RunData) -> Topology | None:
    """Return the network of a run; None where an earlier version left none. Raises RunDataError for a corrupt file."""
    path = run.run_dir / FILE
    try:
        return yaml_form.parse(result_files.read_text(path), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RunDataError(
            f"{path} cannot be read ({result_files.why_unread(error)}); remove it, or run the scenario again"
        ) from None
    except TopologyError as error:
        raise RunDataError(f"{error}; remove the file, or run the scenario again") from None


def link_loads(run: RunData, topology: Topology | None) -> pd.DataFrame:
    """Return one row per link and direction: what it carried, lost and how late it was, over the whole run.

    `link`, `direction`, `delay_ms`, `rate_mbps`, `packets`, `mbps` (mean over the workloads' time), `used` (share of
    its rate), `lost_random`, `lost_queue`, `lost_overload`, `lateness_p99_ms`. What is not known is NaN.
    """
    known = {f"{link.a} - {link.b}": link for link in topology.links} if topology else {}
    duration_s = run.end_s - run.start_s
    rows = []
    for label, directions in run.manifest.link_counters.items():
        link = known.get(label)
        spec = link.spec if link else None
        there, back = (
            (f"{link.a} → {link.b}", f"{link.b} → {link.a}") if link else (f"{label}, there", f"{label}, back")
        )
        for direction, way in (("a_to_b", there), ("b_to_a", back)):
            counted = directions.get(direction) or {}
            rows.append(
                {
                    "link": label,
                    "direction": way,
                    "delay_ms": spec.delay_ms if spec else None,
                    "rate_mbps": spec.rate_mbps if spec else None,
                    "packets": counted.get("packets"),
                    "mbps": (counted.get("bytes") or 0) * 8e-6 / duration_s if duration_s > 0 else None,
                    "lost_random": counted.get("dropped_loss"),
                    "lost_queue": counted.get("dropped_queue"),
                    "lost_overload": counted.get("dropped_overload"),
                    "lateness_p99_ms": (counted.get("lateness") or {}).get("p99_ms"),
                }
            )
    columns = ["link", "direction", "delay_ms", "rate_mbps", "packets", "mbps", "lost_random", "lost_queue"]
    table = pd.DataFrame(rows, columns=[*columns, "lost_overload", "lateness_p99_ms"])
    table[table.columns[2:]] = table[table.columns[2:]].apply(pd.to_numeric)
    return table.assign(used=table["mbps"] / table["rate_mbps"])


def network(book: Sketchbook, topology: Topology, links: pd.DataFrame, sites: pd.DataFrame) -> Figure:
    """Draw the infrastructure and the sites; takes `link_loads` and the summary's sites."""
    shown = _without_hosts(topology)
    busier = links.groupby("link")["mbps"].max()
    mbps = {(link.a, link.b): float(busier.get(f"{link.a} - {link.b}", 0.0)) for link in shown.links}
    utilisation = sites.set_index("site")["utilisation"].astype(float).to_dict()
    is_wide = len(shown.nodes) > _MOST_NARROW_NODES
    places, size_in = _fitted(layout(shown), _WIDE_IN if is_wide else sketches.WIDTH_IN)
    most_mbps = max(mbps.values(), default=0.0)

    def paint(canvas: Canvas) -> None:
        canvas.set_layout_engine("none")
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, size_in[0]), ylim=(0, size_in[1]))
        _links(axes, places, mbps, most_mbps)
        _nodes(axes, shown, places, utilisation)
        _labels(axes, shown, places, mbps, utilisation)

    note = (
        "Squares are edge sites, shaded by how busy their workers were on the mean; lines are links, wider and darker "
        "the more they carried. Numbers on links: Mbit/s in the busier direction, mean over the run."
    )
    return book.draw(
        "Network and load", note, paint, size_in=size_in, is_wide=is_wide, scale=("idle", "busy, or most traffic")
    )


def _without_hosts(topology: Topology) -> Topology:
    kept = {node.name for node in topology.nodes if not node.role.is_host}
    return replace(
        topology,
        nodes=tuple(node for node in topology.nodes if node.name in kept),
        links=tuple(link for link in topology.links if {link.a, link.b} <= kept),
        demands={},
    )


def _fitted(
    places: Mapping[str, tuple[float, float]], width_in: float
) -> tuple[dict[str, tuple[float, float]], tuple[float, float]]:
    """Scale places to a width in inches, with room for labels round them; return them and the size in inches."""
    points = np.array(list(places.values()))
    low, extent = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-6)
    room = np.array([width_in - 4 * _MARGIN_IN, _MOST_HEIGHT_IN - 2 * _MARGIN_IN])
    factor = float(min(room / extent))
    height_in = float(extent[1]) * factor + 2 * _MARGIN_IN
    aside = (width_in - float(extent[0]) * factor) / 2
    moved = (points - low) * factor + np.array([aside, _MARGIN_IN])
    return {name: (float(x), float(y)) for name, (x, y) in zip(places, moved, strict=True)}, (width_in, height_in)


def _links(
    axes: Axes, places: Mapping[str, tuple[float, float]], mbps: Mapping[tuple[str, str], float], most: float
) -> None:
    for (a, b), load in sorted(mbps.items(), key=lambda item: item[1]):
        share = load / most if most else 0.0
        colour = sketches.shade(0.15 + 0.85 * share) if load else sketches.GRID
        x, y = zip(places[a], places[b], strict=True)
        axes.plot(x, y, color=colour, linewidth=1.2 + 4.0 * share, solid_capstyle="round", zorder=1)


def _nodes(
    axes: Axes, topology: Topology, places: Mapping[str, tuple[float, float]], utilisation: Mapping[str, float]
) -> None:
    for node in topology.nodes:
        busy = utilisation.get(node.name, float("nan"))
        is_site = node.role.kind is Kind.EDGE
        fill = sketches.GROUND if not is_site or np.isnan(busy) else sketches.shade(busy)
        axes.plot(
            *places[node.name], linestyle="none", marker="s" if is_site else "o", markersize=11 if is_site else 5.5,
            zorder=3, markerfacecolor=fill, markeredgewidth=1.1,
            markeredgecolor=sketches.INK if is_site else sketches.FAINT,
        )  # fmt: skip


def _labels(
    axes: Axes,
    topology: Topology,
    places: Mapping[str, tuple[float, float]],
    mbps: Mapping[tuple[str, str], float],
    utilisation: Mapping[str, float],
) -> None:
    lines = np.array([(places[link.a], places[link.b]) for link in topology.links]).reshape(-1, 2, 2)
    labels = Labels(np.array(list(places.values())), _NODE_RADIUS_IN, lines)
    routers = topology.of_kind(Kind.ROUTER)
    for node in topology.of_kind(Kind.EDGE):
        busy = utilisation.get(node.name, float("nan"))
        text = node.name if np.isnan(busy) else f"{node.name} {busy:.0%}"
        place = labels.beside(places[node.name], text, _SITE_PT * _BOLD_WIDER)
        _write(axes, place, text, _SITE_PT, sketches.INK, weight="bold")
    for node in routers if len(routers) <= _MOST_LABELLED_ROUTERS else ():
        _write(axes, labels.beside(places[node.name], node.name, _ROUTER_PT), node.name, _ROUTER_PT, sketches.FAINT)
    most = max(mbps.values(), default=0.0)
    loaded = [(ends, load) for ends, load in mbps.items() if load > most * _LEAST_SHOWN_SHARE]
    for (a, b), load in loaded if len(loaded) <= _MOST_LABELLED_LINKS else ():
        text = f"{load:.3g}" if load < 100 else f"{load:,.0f}"
        _write(axes, labels.along(places[a], places[b], text, _LOAD_PT), text, _LOAD_PT, sketches.INK)


def _write(
    axes: Axes, place: tuple[float, float], text: str, size_pt: float, colour: str, weight: str = "normal"
) -> None:
    axes.text(
        *place, text, ha="center", va="center", size=size_pt, weight=weight, color=colour, zorder=4,
        bbox={"facecolor": sketches.GROUND, "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
    )  # fmt: skip
