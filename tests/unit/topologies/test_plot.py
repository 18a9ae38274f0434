"""The picture of a network: everything in it, nothing on top of another, the same every time."""

from __future__ import annotations

import itertools
import logging
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from testbed.analysis.plots import topology_plot
from testbed.dyncast.roles import INSTANCE
from topologies import catalogue
from topologies.drawing.labels import Labels, extent
from topologies.drawing.layout import distances_to_segments, layout
from topologies.roles import CLIENT
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, Node, Topology


def _with_edges(name: str, sites: int, hosts: int) -> Topology:
    topology = catalogue.load(name)
    routers = [node.name for node in topology.nodes][:sites]
    topology = with_sites(topology, [Site(f"edge {router}", router) for router in routers])
    roles = itertools.cycle((INSTANCE, CLIENT))
    return with_hosts(
        topology,
        [Host(f"h{n}@{router}", next(roles), f"edge {router}") for router in routers for n in range(hosts)],
    )


_LONE = Topology("lone", (Node("only"),), ())
_PICTURES = [
    _LONE,
    catalogue.load("topozoo/Abilene"),
    catalogue.load("topozoo/Marnet"),  # fifteen routers in one city
    catalogue.load("sndlib/norway"),  # no coordinates
    catalogue.load("draft/cfn-figure-2"),
    catalogue.load("draft/dyncast-figure-2"),
    _with_edges("topozoo/Abilene", 4, 5),
    _with_edges("sndlib/germany50", 8, 3),
]


@pytest.mark.parametrize("topology", _PICTURES, ids=lambda topology: f"{topology.name} {len(topology.nodes)}")
def test_every_node_has_a_place_of_its_own_and_always_the_same(topology: Topology) -> None:
    places = layout(topology)
    assert set(places) == {node.name for node in topology.nodes}
    assert all(math.isfinite(axis) for place in places.values() for axis in place)
    for (one, a), (other, b) in itertools.combinations(places.items(), 2):
        assert math.dist(a, b) > 0.15, f"{one} and {other} cover each other"
    assert layout(topology) == places


def test_routers_lie_as_on_the_map() -> None:
    places = layout(catalogue.load("topozoo/Abilene"))
    assert places["Seattle"][0] < places["Denver"][0] < places["New York"][0]
    assert places["Houston"][1] < places["Denver"][1] < places["Seattle"][1]


def test_hosts_lie_beside_their_site_and_sites_beside_their_router() -> None:
    topology = _with_edges("topozoo/Abilene", 4, 5)
    places = layout(topology)
    for link in topology.links[len(catalogue.load("topozoo/Abilene").links) :]:
        assert math.dist(places[link.a], places[link.b]) < 1.5


@pytest.mark.parametrize("topology", _PICTURES, ids=lambda topology: f"{topology.name} {len(topology.nodes)}")
def test_a_picture_is_as_large_as_it_needs_to_be(
    topology: Topology, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        topology_plot.draw(topology, tmp_path / "net.png")
    assert not caplog.records, "matplotlib complains"
    image = imread(tmp_path / "net.png")
    height_in, width_in = image.shape[0] / 160, image.shape[1] / 160
    assert 8 <= width_in < 22
    assert 1 < height_in < 22
    assert image[image.shape[0] // 8 : -image.shape[0] // 4].min() < 0.9, "nothing below the title and above the legend"


def test_labels_keep_off_nodes_lines_and_each_other() -> None:
    lines = np.array([[(0.0, 0.0), (2.0, 0.0)], [(0.0, 0.0), (0.0, -2.0)]])
    labels = Labels(np.array([(0.0, 0.0), (0.5, 0.0)]), 0.08, lines)
    centres = [labels.beside((0.0, 0.0), "first", 8), labels.beside((0.5, 0.0), "second", 8)]
    boxes = labels.boxes
    assert len(boxes) == 2
    assert boxes[0][2] <= boxes[1][0] or boxes[0][3] <= boxes[1][1] or boxes[1][3] <= boxes[0][1]
    for centre, text in zip(centres, ("first", "second"), strict=True):
        half = np.array(extent(text, 8)) / 2
        assert (distances_to_segments(np.array([centre]) / half, lines / half) >= 1).all(), f"{text} covers a line"


def test_a_label_moves_along_its_line_out_of_the_way() -> None:
    labels = Labels(np.array([(5.0, 0.0)]), 0.2, np.empty((0, 2, 2)))
    x, y = labels.along((0.0, 0.0), (10.0, 0.0), "11.5", 7)
    assert y == 0
    assert 0 < x < 10
    assert abs(x - 5) > 0.2


def test_distance_to_a_segment_ends_with_it() -> None:
    points = np.array([(0.0, 1.0), (-3.0, 4.0), (5.0, 0.0)])
    segments = np.array([[(0.0, 0.0), (2.0, 0.0)], [(1.0, 1.0), (1.0, 1.0)]])
    expected = [[1.0, 1.0], [5.0, 5.0], [3.0, math.sqrt(17)]]
    assert distances_to_segments(points, segments) == pytest.approx(np.array(expected))


def test_two_nodes_of_one_place_are_drawn_apart() -> None:
    topology = Topology(
        "t",
        (Node("a", latitude=1.0, longitude=1.0), Node("b", latitude=1.0, longitude=1.0)),
        (Link("a", "b"),),
    )
    places = layout(topology)
    assert math.dist(places["a"], places["b"]) == pytest.approx(0.3, abs=0.05)
