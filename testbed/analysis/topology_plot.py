"""The drawing of a network: routers where they are on the map, sites and hosts beside them.

Reads a topology only. Networks without coordinates are laid out by a fixed algorithm, so that the same
network always looks the same.
"""

from __future__ import annotations

import math
from pathlib import Path

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from testbed.analysis.drawing import BLUE, GREEN, GREY, ORANGE, VERMILION, canvas
from topologies.spec import Node, Role, Topology

_WIDTH_IN, _HEIGHT_IN = 10.0, 6.5
_MOST_LABELLED_LINKS = 40
_MOST_LABELLED_NODES = 120
_MARKERS = {
    Role.ROUTER: ("o", GREY, 60),
    Role.D_ROUTER: ("s", BLUE, 110),
    Role.CLIENT: ("^", ORANGE, 60),
    Role.INSTANCE: ("D", GREEN, 50),
}
_NAMES = {
    Role.ROUTER: "router",
    Role.D_ROUTER: "D-Router (edge site)",
    Role.CLIENT: "client",
    Role.INSTANCE: "service instance",
}

Positions = dict[str, tuple[float, float]]


def draw(topology: Topology, path: Path) -> None:
    """Draw a network to a PNG file."""
    positions = layout(topology)
    counts = {_NAMES[role].partition(" (")[0]: len(topology.with_role(role)) for role in Role}
    title = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count)
    with canvas(path, _WIDTH_IN, _HEIGHT_IN, f"{topology.name}: {title}") as figure:
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.06)
        ends = [(positions[link.a], positions[link.b]) for link in topology.links]
        axes.add_collection(LineCollection(ends, colors="#B8B8B8", linewidths=1.2, zorder=1))
        for role, (marker, colour, size) in _MARKERS.items():
            nodes = topology.with_role(role)
            if nodes:
                x, y = zip(*(positions[node.name] for node in nodes), strict=True)
                axes.scatter(
                    x, y, s=size, marker=marker, color=colour, edgecolors="white", zorder=3, label=_NAMES[role]
                )
        axes.autoscale_view()
        labelled = len(topology.links) <= _MOST_LABELLED_LINKS
        if len(topology.nodes) <= _MOST_LABELLED_NODES:
            _label_nodes(axes, topology, positions)
        if labelled:
            _label_links(axes, topology, positions)
        note = "links: one-way delay in ms" if labelled else None
        axes.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=len(Role), title=note, alignment="left")


def layout(topology: Topology) -> Positions:
    """Return a place for every node, in units of about a node's mean distance."""
    infrastructure = [node for node in topology.nodes if not node.role.is_host]
    mapped = [node for node in infrastructure if node.role is Role.ROUTER and node.latitude is not None]
    routers = topology.with_role(Role.ROUTER)
    positions = _on_map(list(routers)) if routers and len(mapped) == len(routers) else _computed(topology)
    for node in topology.with_role(Role.D_ROUTER):
        if node.name not in positions:
            positions[node.name] = _beside(topology, node.name, positions, 0.45, slots=8)
    for role in (Role.INSTANCE, Role.CLIENT):
        for node in topology.with_role(role):
            positions[node.name] = _beside(topology, node.name, positions, 0.4, slots=10)
    return positions


def _on_map(routers: list[Node]) -> Positions:
    """Project to the plane (degrees shortened by the mean latitude), scaled to a unit node distance."""
    latitudes = [node.latitude or 0.0 for node in routers]
    shorten = math.cos(math.radians(sum(latitudes) / len(latitudes)))
    places = [((node.longitude or 0.0) * shorten, latitude) for node, latitude in zip(routers, latitudes, strict=True)]
    x, y = zip(*places, strict=True)
    extent = max(max(x) - min(x), max(y) - min(y)) or 1.0
    scale = 1.6 * math.sqrt(len(routers)) / extent
    return {node.name: (place[0] * scale, place[1] * scale) for node, place in zip(routers, places, strict=True)}


def _computed(topology: Topology) -> Positions:
    graph = topology.graph()
    graph.remove_nodes_from([node.name for node in topology.nodes if node.role.is_host])
    if len(graph) == 1:
        return {next(iter(graph)): (0.0, 0.0)}
    scale = 1.1 * math.sqrt(len(graph))
    placed = nx.spring_layout(graph, weight=None, scale=scale, seed=1, iterations=300, pos=nx.circular_layout(graph))
    return {name: (float(x), float(y)) for name, (x, y) in placed.items()}


def _beside(topology: Topology, name: str, positions: Positions, distance: float, slots: int) -> tuple[float, float]:
    """Return the free place round a node's neighbour that is farthest from everything placed so far."""
    graph = topology.graph()
    anchor = next(peer for peer in graph[name] if peer in positions)
    x, y = positions[anchor]
    others = [place for other, place in positions.items() if other != anchor]
    links = [positions[peer] for peer in graph[anchor] if peer in positions]

    def room(place: tuple[float, float]) -> float:
        nearest = min((math.dist(place, other) for other in others), default=1.0)
        # Off the anchor's links, too, so that labels do not lie on lines.
        along = max(
            (_cosine((x, y), place, other) for other in links if other != (x, y)),
            default=0.0,
        )
        return min(nearest, 1.5) - 0.3 * max(0.0, along)

    rings = (distance, 1.5 * distance)
    places = [
        (x + ring * math.cos(2 * math.pi * slot / slots), y + ring * math.sin(2 * math.pi * slot / slots))
        for ring in rings
        for slot in range(slots)
    ]
    return max(places, key=room)


def _cosine(origin: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    first, second = (a[0] - origin[0], a[1] - origin[1]), (b[0] - origin[0], b[1] - origin[1])
    lengths = math.hypot(*first) * math.hypot(*second)
    return (first[0] * second[0] + first[1] * second[1]) / lengths if lengths else 0.0


def _label_nodes(axes: Axes, topology: Topology, positions: Positions) -> None:
    size = 8.0 if len(topology.nodes) <= 40 else 6.5
    graph = topology.graph()
    for node in topology.nodes:
        x, y = positions[node.name]
        below = sum(positions[peer][1] < y for peer in graph[node.name]) > len(graph[node.name]) / 2
        label = node.name if not node.role.is_host else node.name.partition("@")[0]
        axes.annotate(
            label,
            (x, y),
            xytext=(0, 6 if below else -6),
            textcoords="offset points",
            ha="center",
            va="bottom" if below else "top",
            size=size if not node.role.is_host else size - 1.5,
            weight="bold" if node.role is Role.D_ROUTER else "normal",
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.65, "pad": 0.4},
        )


def _label_links(axes: Axes, topology: Topology, positions: Positions) -> None:
    for link in topology.links:
        if link.spec.delay_ms <= 0:
            continue
        (ax, ay), (bx, by) = positions[link.a], positions[link.b]
        axes.annotate(
            f"{link.spec.delay_ms:.3g}",
            ((ax + bx) / 2, (ay + by) / 2),
            ha="center",
            va="center",
            size=6.5,
            color=VERMILION,
            zorder=2,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.3},
        )
