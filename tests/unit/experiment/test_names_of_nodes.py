"""Whatever a node is called, it is so in every role: all that a run would write is written, in the run's folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.plots import topology_plot
from testbed.experiment.live import drawing
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.file import parse
from testbed.experiment.system import systems
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from tests.odd_names import ODD, odd_topology
from topologies import catalogue, yaml_form
from topologies.spec import Node, Topology, TopologyError


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[1m", "", " ", "\u202ea", "x" * 201, "é" * 101])
def test_a_name_that_cannot_be_seen_or_sent_is_none(text: str) -> None:
    with pytest.raises(TopologyError, match="name"):
        Node(text)


def test_a_topology_of_odd_names_is_read_as_it_is_written() -> None:
    topology = odd_topology()
    assert yaml_form.parse(yaml_form.dump(topology), "again") == topology


def test_a_host_is_called_without_its_site_whatever_either_is_called() -> None:
    topology = odd_topology()
    shown = drawing.drawn(topology)
    assert {shown[node.name].label for node in topology.nodes if node.role.is_host} <= {
        *(f"client of {name}" for name in ODD),
        "",
    }
    hosts = catalogue.load("draft/dyncast-figure-1")
    assert {hosts.short_name(node) for node in hosts.nodes} <= {node.name for node in hosts.nodes}


def test_a_router_of_the_catalogue_takes_every_role(tmp_path: Path) -> None:
    found = [
        (topology, node.name)
        for names in catalogue.names().values()
        for topology in map(catalogue.load, names)
        for node in topology.nodes
        if "/" in node.name
    ]
    assert len(found) >= 10
    for topology, router in found:
        plan = make_plan(parse(_in_every_role(topology, router), "odd.yaml"), Path("odd.yaml"))
        server = DyncastPlan.of(plan).name_server
        assert server is not None and server.node == router
        for system in systems():
            system.rehearse(plan, Path("odd.yaml"), tmp_path / system.name, with_load=True)


def test_a_network_of_odd_names_is_drawn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the terminal would show them
        topology_plot.draw(odd_topology(), tmp_path / "odd.png")
    assert (tmp_path / "odd.png").stat().st_size > 10_000


def _in_every_role(topology: Topology, router: str) -> dict[str, Any]:
    link = next(link for link in topology.links if router in (link.a, link.b))
    other = next(node.name for node in topology.nodes if node.name != router)
    return {
        "name": "odd",
        "topology": topology.name,
        "sites": {"east": {"at": router}, "west": {"at": other}},
        "services": {"render": {"d_sid": "203.0.113.10"}},
        "instances": [{"service": "render", "site": "east"}],
        "clients": [{"site": "west"}],
        "workloads": [{"name": "jobs", "service": "render", "clients": ["west"], "arrivals": {"rate_per_s": 1}}],
        "dns": {"server": router},
        "faults": [
            {"kind": "link_down", "link": [link.a, link.b], "at_s": 1},
            {"kind": "partition", "nodes": [router], "at_s": 1},
        ],
        "captures": [{"name": "a", "link": [link.a, link.b]}],
    }
