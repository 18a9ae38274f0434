"""The drawing of a network: routers where they are on the map, sites and hosts beside them.

Reads a topology only. The figure is as large as the network needs; one unit of its axes is an inch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from testbed.analysis.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, canvas
from topologies.drawing.labels import Labels
from topologies.drawing.layout import Places, layout
from topologies.roles import CLIENT, Kind, Role
from topologies.spec import Topology

_MOST_LABELLED_LINKS = 40
_MOST_LABELLED_NODES = 120
_LEAST_WIDTH_IN, _HEADER_IN, _LEGEND_IN, _MARGIN_IN = 8.0, 0.35, 0.65, 0.2
_DELAY_SIZE_PT = 7.0
_NODE_RADIUS_IN = 0.085
_BOLD_WIDER = {"normal": 1.0, "bold": 1.15}


@dataclass(frozen=True)
class _Look:
    """How nodes of a role are drawn: distinct by shape as well as by colour."""

    marker: str
    colour: str
    area_pt2: float
    size_pt: float
    weight: str = "normal"


_EDGE = _Look("s", BLUE, 110, 8.5, "bold")
_SWITCH = _Look("h", SKY, 90, 8)
_ROUTER = _Look("o", GREY, 60, 8)
_SERVER = _Look("D", GREEN, 50, 7)
_CLIENT = _Look("^", ORANGE, 65, 7)
_OTHER = _Look("P", PURPLE, 60, 7)
_LOOKS = (_EDGE, _SWITCH, _ROUTER, _SERVER, _CLIENT, _OTHER)  # in the order of the legend
_OF_KIND = {Kind.EDGE: _EDGE, Kind.SWITCH: _SWITCH, Kind.ROUTER: _ROUTER}


def draw(topology: Topology, path: Path) -> None:
    """Draw a network to a PNG file."""
    places = layout(topology)
    lines = np.array([(places[link.a], places[link.b]) for link in topology.links]).reshape(-1, 2, 2)
    labels = Labels(np.array(list(places.values())), _NODE_RADIUS_IN, lines)
    texts = _node_texts(topology, places, labels) + _link_texts(topology, places, labels)
    corners = np.array([*places.values(), *labels.boxes[:, :2], *labels.boxes[:, 2:]])
    low, high = corners.min(axis=0) - _MARGIN_IN, corners.max(axis=0) + _MARGIN_IN
    width, height = high - low
    with canvas(
        path, max(width, _LEAST_WIDTH_IN), height + _HEADER_IN + _LEGEND_IN, f"{topology.name}: {_census(topology)}"
    ) as figure:
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axes.set_aspect("equal", adjustable="box")
        axes.add_collection(LineCollection(list(lines), colors="#B8B8B8", linewidths=1.2, zorder=1))
        _draw_nodes(axes, topology, places)
        for text in texts:
            text.write(axes)
        note = "numbers on links: one-way delay in ms" if _shows_delays(topology) else None
        axes.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=len(_LOOKS), title=note, alignment="left")


def _look(role: Role) -> _Look:
    return _OF_KIND.get(role.kind) or (_SERVER if role.serves else _CLIENT if role == CLIENT else _OTHER)


def _roles(topology: Topology) -> list[Role]:
    """Return the roles that nodes have, in the order of the legend."""
    found = dict.fromkeys(node.role for node in topology.nodes)
    return sorted(found, key=lambda role: _LOOKS.index(_look(role)))


def _census(topology: Topology) -> str:
    counts = [(role.title, len(topology.with_role(role))) for role in _roles(topology)]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts)


def _shows_delays(topology: Topology) -> bool:
    return len(topology.links) <= _MOST_LABELLED_LINKS


def _draw_nodes(axes: Axes, topology: Topology, places: Places) -> None:
    for role in _roles(topology):
        look = _look(role)
        x, y = zip(*(places[node.name] for node in topology.with_role(role)), strict=True)
        axes.scatter(
            x, y, s=look.area_pt2, marker=look.marker, color=look.colour, edgecolors="white", zorder=3,
            label=role.legend,
        )  # fmt: skip


@dataclass(frozen=True)
class _Text:
    """One label, centred on `place`, on a white ground."""

    text: str
    place: tuple[float, float]
    size_pt: float
    weight: str = "normal"
    colour: str = "black"

    def write(self, axes: Axes) -> None:
        axes.text(
            *self.place, self.text, ha="center", va="center", size=self.size_pt, weight=self.weight, color=self.colour,
            zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3},
        )  # fmt: skip


def _node_texts(topology: Topology, places: Places, labels: Labels) -> list[_Text]:
    """Label sites first, then routers, then hosts: who comes first finds more room."""
    if len(topology.nodes) > _MOST_LABELLED_NODES:
        return []
    texts = []
    for role in _roles(topology):
        look = _look(role)
        for node in topology.with_role(role):
            name = topology.short_name(node)
            place = labels.beside(places[node.name], name, look.size_pt * _BOLD_WIDER[look.weight])
            texts.append(_Text(name, place, look.size_pt, look.weight))
    return texts


def _link_texts(topology: Topology, places: Places, labels: Labels) -> list[_Text]:
    if not _shows_delays(topology):
        return []
    texts = []
    for link in topology.links:
        if link.spec.delay_ms:
            delay = f"{link.spec.delay_ms:.3g}"
            place = labels.along(places[link.a], places[link.b], delay, _DELAY_SIZE_PT)
            texts.append(_Text(delay, place, _DELAY_SIZE_PT, colour=VERMILION))
    return texts
