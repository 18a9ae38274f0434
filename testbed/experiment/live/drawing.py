"""Where nodes and their names go on the live page, in pixels, x to the right and y down.

The places are those of the topology's picture, unless there are so many hosts that finding room for each would keep
the run waiting: then they lie round their sites like the seeds of a sunflower.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from topologies.drawing.labels import Labels
from topologies.drawing.layout import Places, layout
from topologies.roles import Kind
from topologies.spec import Topology

_PER_INCH = 100
_RADIUS_IN = 0.13  # between a host's and a site's
_SIZES_PT = {Kind.EDGE: 10.0, Kind.ROUTER: 8.0}
_SIZE_PT = 7.5
_MOST_LABELLED = 150
_MOST_HOSTS_FITTED = 100
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Drawn:
    """A node: its place, its name as it is written (maybe not at all), and from its place to the name's centre."""

    x: int
    y: int
    label: str
    label_dx: int
    label_dy: int


def drawn(topology: Topology) -> dict[str, Drawn]:
    """Place every node of a topology. Sites are labelled first: who comes first finds more room."""
    places = _places(topology)
    left, top = min(x for x, _ in places.values()), max(y for _, y in places.values())
    lines = np.array([(places[link.a], places[link.b]) for link in topology.links]).reshape(-1, 2, 2)
    labels = Labels(np.array(list(places.values())), _RADIUS_IN, lines)
    found = {}
    for node in sorted(topology.nodes, key=lambda node: (node.role.kind is not Kind.EDGE, node.role.is_host)):
        x, y = places[node.name]
        label = topology.short_name(node)
        if node.role.kind is not Kind.EDGE and len(topology.nodes) > _MOST_LABELLED:
            label = ""
        at_x, at_y = labels.beside((x, y), label, _SIZES_PT.get(node.role.kind, _SIZE_PT)) if label else (x, y)
        found[node.name] = Drawn(
            _pixels(x - left), _pixels(top - y), label, label_dx=_pixels(at_x - x), label_dy=_pixels(y - at_y)
        )
    return found


def _places(topology: Topology) -> Places:
    hosts = [node.name for node in topology.nodes if node.role.is_host]
    if len(hosts) <= _MOST_HOSTS_FITTED:
        return layout(topology)
    outside = tuple(node for node in topology.nodes if not node.role.is_host)
    names = {node.name for node in outside}
    links = tuple(link for link in topology.links if {link.a, link.b} <= names)
    places = layout(Topology(topology.name, outside, links))
    placed: Counter[str] = Counter()
    for name in hosts:
        site = topology.site_of(name)
        radius, angle = 0.4 + 0.1 * math.sqrt(placed[site]), placed[site] * _GOLDEN_ANGLE
        placed[site] += 1
        places[name] = places[site][0] + radius * math.cos(angle), places[site][1] + radius * math.sin(angle)
    return places


def _pixels(inches: float) -> int:
    return round(inches * _PER_INCH)
