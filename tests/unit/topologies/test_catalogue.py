"""The catalogue: every network loads, names are forgiving, and what does not exist is said with a way out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from topologies import catalogue, yaml_form
from topologies.roles import CLIENT, ROUTER, Role
from topologies.spec import TopologyError


def test_names_are_grouped_by_source() -> None:
    names = catalogue.names()
    assert "topozoo/Abilene" in names["topozoo"]
    assert "sndlib/germany50" in names["sndlib"]
    assert {"draft/cfn-figure-2", "draft/dyncast-figure-2"} <= set(names["draft"])
    everything = [name for listed in names.values() for name in listed]
    assert len({name.lower() for name in everything}) == len(everything), "names differ by more than case"


@pytest.mark.parametrize("source", sorted(catalogue.names()))
def test_every_network_loads(source: str) -> None:
    for name in catalogue.names()[source]:
        topology = catalogue.load(name)
        assert topology.name == name
        assert topology.links
        # The longest cable on earth is some 40,000 km.
        assert all(link.spec.delay_ms < 200 for link in topology.links), name


def test_names_are_taken_in_any_case() -> None:
    assert catalogue.load("TopoZoo/abilene") == catalogue.load("topozoo/Abilene")


def test_delay_is_that_of_light_in_fibre() -> None:
    abilene = catalogue.load("topozoo/Abilene").graph()
    # 1146 km between New York and Chicago.
    assert abilene["New York"]["Chicago"]["delay_ms"] == pytest.approx(1146.16 / 200, abs=0.001)


@pytest.mark.parametrize("name", ["sndlib/norway", "sndlib/india35"])
def test_networks_in_drawing_coordinates_get_the_size_of_a_country(name: str) -> None:
    topology = catalogue.load(name)
    assert all(node.latitude is None for node in topology.nodes)
    delays = [link.spec.delay_ms for link in topology.links]
    assert min(delays) > 0
    assert max(delays) <= math.sqrt(2) * 1000 / 200


def test_sndlib_demands_are_between_routers() -> None:
    germany = catalogue.load("sndlib/germany50")
    names = {node.name for node in germany.nodes}
    assert germany.demands
    assert all(a in names and b in names and demand >= 0 for (a, b), demand in germany.demands.items())


def test_a_rate_is_given_to_links_that_state_none(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("{name: n, nodes: [a, b, c], links: [{a: a, b: b}, {a: b, b: c, rate_mbps: 7}]}")
    assert [link.spec.rate_mbps for link in catalogue.load(str(file)).links] == [None, 7]
    assert [link.spec.rate_mbps for link in catalogue.load(str(file), rate_mbps=50).links] == [50, 7]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("topozoo/Abilenne", ["'topozoo/Abilenne'", "did you mean 'topozoo/Abilene'?", "dyncast topology"]),
        ("abilene", ["'topozoo/Abilene' or 'sndlib/abilene'"]),
        ("germny50", ["did you mean 'sndlib/germany50'?"]),
        ("no such thing", ["'no such thing'", "`dyncast topology` lists all", ".yaml"]),
        ("missing.yaml", ["missing.yaml", "No such file"]),
        ("zero\0byte.yaml", ["null byte"]),
    ],
)
def test_what_does_not_exist_is_said_with_a_way_out(name: str, words: list[str]) -> None:
    with pytest.raises(TopologyError) as caught:
        catalogue.load(name)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TopologyError, match=r"net\.yaml"):
        catalogue.load(str(file))


def test_the_figure_of_the_cfn_draft_stands_as_drawn() -> None:
    figure = catalogue.load("draft/cfn-figure-2")
    assert [node.name for node in figure.with_role(D_ROUTER)] == ["CFN-node-1", "CFN-node-2", "CFN-node-3"]
    homes = {node.name: figure.site_of(node.name) for node in figure.nodes if node.role.is_host}
    assert homes == {
        "client": "CFN-node-1",
        "BID21": "CFN-node-2",
        "BID22": "CFN-node-2",
        "BID32": "CFN-node-3",
        "BID33": "CFN-node-3",
    }


def test_the_figure_of_the_dyncast_draft_stands_as_drawn() -> None:
    figure = catalogue.load("draft/dyncast-figure-2")
    behind: dict[str, set[tuple[str, Role]]] = {node.name: set() for node in figure.with_role(D_ROUTER)}
    for node in figure.nodes:
        if node.role.is_host:
            behind[figure.site_of(node.name)].add((node.name, node.role))
    assert {name for name, role in behind["D-Router-2"] if role is INSTANCE} == {"D-BID-21", "D-BID-22"}
    assert behind["D-Router-3"] == {("D-BID-31", INSTANCE), ("D-BID-32", INSTANCE)}
    assert [role for _, role in behind["D-Router-1"]] == [CLIENT]
    assert len(figure.with_role(ROUTER)) > 1, "an infrastructure lies between the D-Routers"


def test_a_network_can_be_written_down_and_edited(tmp_path: Path) -> None:
    abilene = catalogue.load("topozoo/Abilene")
    file = tmp_path / "mine.yaml"
    file.write_text(yaml_form.dump(abilene), encoding="utf-8")
    assert catalogue.load(str(file)) == abilene
