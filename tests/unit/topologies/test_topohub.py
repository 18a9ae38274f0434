"""The translation of node-link documents with all that real ones have: twins, loops, gaps and islands."""

from __future__ import annotations

from typing import Any

import pytest

from topologies.importers.topohub_networks import DRAWING_EXTENT_KM, UNKNOWN_LENGTH_KM, great_circle_km, translate
from topologies.spec import TopologyError


def _node(key: int, name: str = "", pos: list[float] | None = None) -> dict[str, Any]:
    return {"id": key, "name": name, **({} if pos is None else {"pos": pos})}


def _edge(a: int, b: int, **more: float) -> dict[str, Any]:
    return {"source": a, "target": b, **more}


def _document(nodes: list[dict[str, Any]], edges: list[dict[str, Any]], **graph: Any) -> dict[str, Any]:
    return {"graph": graph, "nodes": nodes, "edges": edges}


def test_twins_get_names_of_their_own() -> None:
    nodes = [_node(0, "Rome"), _node(1, "Rome"), _node(2, "Rome 2"), _node(3), _node(4, "Oslo")]
    topology = translate("t", _document(nodes, [_edge(n, n + 1) for n in range(4)]))
    names = [node.name for node in topology.nodes]
    assert len(set(names)) == 5
    assert names[2:] == ["Rome 2", "node 3", "Oslo"]
    assert all(name.startswith("Rome ") for name in names[:2])


def test_parallel_links_become_the_shortest_and_loops_go() -> None:
    edges = [_edge(0, 1, dist=500), _edge(1, 0, dist=300), _edge(0, 1, dist=400), _edge(1, 1, dist=9)]
    topology = translate("t", _document([_node(0, "a"), _node(1, "b")], edges))
    assert [(link.a, link.b, link.spec.delay_ms) for link in topology.links] == [("a", "b", 1.5)]


def test_length_is_stated_or_the_great_circle_or_the_default() -> None:
    berlin, paris = [13.4, 52.52], [2.35, 48.86]
    nodes = [_node(0, "Berlin", berlin), _node(1, "Paris", paris), _node(2, "somewhere"), _node(3, "Bonn", [7.1, 50.7])]
    topology = translate("t", _document(nodes, [_edge(0, 1), _edge(1, 2), _edge(2, 3, dist=123.4567)]))
    assert great_circle_km(52.52, 13.4, 48.86, 2.35) == pytest.approx(878, abs=2)
    assert [link.spec.delay_ms for link in topology.links] == [
        pytest.approx(878 / 200, abs=0.01),
        UNKNOWN_LENGTH_KM / 200,
        0.617,
    ]
    assert (topology.node("Berlin").latitude, topology.node("Berlin").longitude) == (52.52, 13.4)
    assert topology.node("somewhere").latitude is None


def test_a_stated_length_counts_without_any_position() -> None:
    topology = translate("t", _document([_node(0, "a"), _node(1, "b")], [_edge(0, 1, dist=200)]))
    assert topology.links[0].spec.delay_ms == 1.0


def test_pixels_are_no_degrees() -> None:
    nodes = [_node(0, "a", [0.0, 0.0]), _node(1, "b", [500.0, 0.0]), _node(2, "c", [500.0, 250.0])]
    topology = translate("t", _document(nodes, [_edge(0, 1, dist=15_000), _edge(1, 2, dist=9_000)]))
    assert [link.spec.delay_ms * 200 for link in topology.links] == [DRAWING_EXTENT_KM, DRAWING_EXTENT_KM / 2]
    assert all(node.latitude is None for node in topology.nodes)


def test_demands_go_by_name() -> None:
    document = _document([_node(0, "a"), _node(1, "b")], [_edge(0, 1)], demands={0: {1: 5}, "1": {"0": 2.5}})
    assert translate("t", document).demands == {("a", "b"): 5, ("b", "a"): 2.5}


def test_a_demand_of_nobody_is_refused() -> None:
    document = _document([_node(0, "a"), _node(1, "b")], [_edge(0, 1)], demands={0: {7: 5}})
    with pytest.raises(TopologyError, match="'t': a demand names node '7'"):
        translate("t", document)


def test_islands_are_refused() -> None:
    nodes = [_node(key, name) for key, name in enumerate("abcd")]
    with pytest.raises(TopologyError, match=r"'t' is disconnected: no path from 'a' to 'c'; add a link"):
        translate("t", _document(nodes, [_edge(0, 1), _edge(2, 3)]))
