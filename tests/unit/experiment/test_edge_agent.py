"""The D-MA on a host of its own: where it is put, what it is told, what cutting its link reaches."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from testbed.dyncast.roles import AGENT
from testbed.emulation.run_tag import RunTag
from testbed.emulation.wiring import wire
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import process_configs
from tests.scenarios import small_plan
from topologies.spec import LinkSpec

EDGE = {"agent_at": "edge", "agent_link": {"delay_ms": 3}}
_SITES = {"east": "New York", "middle": "Chicago", "west": "Denver"}


def test_each_site_with_instances_has_one_on_a_host_of_its_own() -> None:
    plan = small_plan(metrics=EDGE, sites={name: {"at": at} for name, at in _SITES.items()})
    assert [node.name for node in plan.topology.with_role(AGENT)] == ["dma@east", "dma@middle"]  # none at west
    assert [plan.agent_node(site) for site in ("east", "middle")] == ["dma@east", "dma@middle"]
    (link,) = [link for link in plan.topology.links if link.a == "dma@east"]
    assert (link.b, link.spec) == ("east", LinkSpec(delay_ms=3))


def test_it_speaks_to_its_d_router_from_an_address_of_its_own() -> None:
    plan = small_plan(metrics=EDGE)
    told = process_configs.metric_agent(plan, "middle", Path("/out"))
    assert told is not None
    assert told.name == "dma@middle"
    assert told.d_router == (ip_address("10.2.0.1"), process_configs.IN_BAND_PORT)
    others = {plan.addresses.host(name).ipv4.ip for name in ("render-1@middle", "conference-1@middle")}
    assert plan.addresses.host("dma@middle").ipv4.ip in plan.addresses.site("middle").prefix4
    assert plan.addresses.host("dma@middle").ipv4.ip not in others
    assert "dma@middle" in wire(plan.topology, plan.addresses, RunTag("1a2b")).bridges["middle"].ports


def test_the_others_keep_their_addresses() -> None:
    before, after = small_plan(), small_plan(metrics=EDGE)
    names = [node.name for node in before.topology.nodes if node.role.is_host]
    assert [before.addresses.host(name) for name in names] == [after.addresses.host(name) for name in names]
    assert before.agent_node("middle") == "middle"


def test_a_link_without_a_host_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"agent_link.*agent_at: edge"):
        small_plan(metrics={"agent_link": {"delay_ms": 3}})


def test_to_cut_its_link_concerns_all_flows_to_its_site() -> None:
    fault = {"at_s": 1, "kind": "link_down", "link": ["dma@middle", "middle"]}
    (planned,) = small_plan(metrics=EDGE, faults=[fault]).faults
    assert set(planned.reach) == {
        (site, name) for site in ("east", "middle") for name in ("render-1@middle", "conference-1@middle")
    }
