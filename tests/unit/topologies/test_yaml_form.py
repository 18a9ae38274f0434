"""The YAML form of networks: short and long nodes, and what its errors name."""

from __future__ import annotations

import pytest

from testbed.dyncast.roles import D_ROUTER
from topologies import yaml_form
from topologies.roles import CLIENT
from topologies.spec import Link, LinkSpec, Node, TopologyError

_NODES = "nodes: [a, b]\n"


def test_short_and_long_forms() -> None:
    topology = yaml_form.parse(
        """
        name: two-sites
        nodes:
          - core
          - {name: edge, role: d_router, latitude: 52.5, longitude: 13}
          - {name: "7", role: client}
        links:
          - {a: core, b: edge, delay_ms: 5, jitter_ms: 1, loss_percent: 0.5, rate_mbps: 100, queue_packets: 50}
          - {a: "7", b: edge, rate_mbps: null}
        demands:
          - {from: core, to: edge, demand: 3}
        """,
        "net.yaml",
    )
    assert topology.nodes == (Node("core"), Node("edge", D_ROUTER, 52.5, 13.0), Node("7", CLIENT))
    assert topology.links == (Link("core", "edge", LinkSpec(5, 1, 0.5, 100, 50)), Link("7", "edge"))
    assert topology.demands == {("core", "edge"): 3.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", ["line 1", "is no YAML"]),
        ("name: 7\n" + _NODES, ["name: must be a name, not 7", "quotes"]),
        ("name: t\nname: t\n" + _NODES, ["line 2", "name stands twice", "line 1"]),
        ("", ["must hold the keys name, nodes, links"]),
        ("- a", ["must hold the keys"]),
        ("name: t\nnods: [a]", ["nods: unknown key", "did you mean 'nodes'"]),
        (_NODES, ["name: is missing"]),
        ("name: true\n" + _NODES, ["name: must be a name, not True", "quotes"]),
        ("name: t\nnodes: [0, 1]", ["nodes[0]: must be a name, not 0", "quotes"]),
        ("name: t\nnodes: [true]", ["nodes[0]: must be a name, not True", "quotes"]),
        (f"name: t\n{_NODES}links: [{{a: 0, b: b}}]", ["links[0].a: must be a name, not 0", "quotes"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay_ms: 1:30}}]", ["links[0].delay_ms: must be a number"]),
        ("name: t", ["has no nodes"]),
        ("name: t\nnodes: {a: 1}", ["nodes: must be a list"]),
        ("name: t\nnodes: ''", ["nodes: must be a list"]),
        ("name: t\nnodes: [1.5]", ["nodes[0]: must be a name, not 1.5", "quotes"]),
        ("name: t\nnodes: [{nme: a}]", ["nodes[0].nme: unknown key", "did you mean 'name'"]),
        ("name: t\nnodes: [a, {role: router}]", ["nodes[1].name: is missing"]),
        ("name: t\nnodes: [{name: a, role: switch}]", ["nodes[0].role", "'switch'", "d_router"]),
        ("name: t\nnodes: [{name: a, role: [client]}]", ["nodes[0].role"]),
        ("name: t\nnodes: [{name: a, latitude: north}]", ["nodes[0].latitude: must be a number, not 'north'"]),
        ("name: t\nnodes: [{name: a, latitude: 91}]", ["nodes[0]", "latitude must be in -90..90"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay: 3}}]", ["links[0].delay: unknown key", "delay_ms"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay_ms: 3ms}}]", ["links[0].delay_ms: must be a number"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay_ms: .nan}}]", ["links[0].delay_ms", "finite"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay_ms: 1{'0' * 400}}}]", ["links[0].delay_ms", "finite"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay_ms: true}}]", ["links[0].delay_ms: must be a number"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, delay_ms: -3}}]", ["links[0]", "delay_ms must be >= 0"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, queue_packets: 1.5}}]", ["links[0].queue_packets", "whole"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: b, queue_packets: .inf}}]", ["links[0].queue_packets", "finite"]),
        (f"name: t\n{_NODES}links: [{{a: a}}]", ["links[0].b: is missing"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: [b]}}]", ["links[0].b: must be a name"]),
        (f"name: t\n{_NODES}links: [{{a: a, b: x}}]", ["names 'x', which is no node"]),
        (f"name: t\n{_NODES}", ["is disconnected"]),
        (f"name: t\n{_NODES}demands: [{{from: a, to: c, demand: 1}}]", ["demands[0]", "no node 'c'"]),
        (f"name: t\n{_NODES}demands: [{{from: a, to: b}}]", ["demands[0].demand: must be a number"]),
        (
            f"name: t\n{_NODES}demands: [{{from: a, to: b, demand: 1}}, {{from: a, to: b, demand: 2}}]",
            ["demands[1]", "already"],
        ),
        ("[" * 1000, ["is no YAML"]),
    ],
)
def test_errors_name_the_file_the_key_and_the_way_out(text: str, words: list[str]) -> None:
    with pytest.raises(TopologyError) as caught:
        yaml_form.parse(text, "net.yaml")
    message = str(caught.value)
    assert message.startswith("net.yaml")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_words_that_older_yaml_takes_for_something_else_are_names() -> None:
    links = "links: [{a: NO, b: on, delay_ms: 1e-1}, {a: on, b: 12:30}, {a: on, b: 2026-01-02}]"
    topology = yaml_form.parse(f"name: yes\nnodes: [NO, on, 12:30, 2026-01-02]\n{links}", "net.yaml")
    assert topology.name == "yes"
    assert [node.name for node in topology.nodes] == ["NO", "on", "12:30", "2026-01-02"]
    assert topology.links[0] == Link("NO", "on", LinkSpec(0.1))
