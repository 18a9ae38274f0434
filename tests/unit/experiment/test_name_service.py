"""A scenario's name server: where it is, what it and the others are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ryu_apps.dyncast.config.control_process import ControlConfig
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import process_configs, workload_files
from testbed.experiment.systems.dyncast.plan import name_service
from tests.scenarios import SWITCH, small_plan
from traffic.config import NameServer


def control(plan: Plan, site: str = "east") -> ControlConfig:
    return process_configs.control(
        plan, site, Path(), datapath_id=1, openflow_fd=9, uplink_port=1, in_band_fd=3,
        switch=SWITCH, zones={},
    )  # fmt: skip


def test_without_a_name_server_clients_know_the_d_sids(tmp_path: Path) -> None:
    plan = small_plan()
    assert plan.name_server is None and process_configs.name_server(plan, tmp_path) is None
    configured = workload_files.write(plan, tmp_path / "workloads", Path())
    assert not any(workload.host_name for of_client in configured.values() for workload in of_client)
    assert process_configs.generator(plan, plan.clients[0], [], 0.0, tmp_path).name_server is None


@pytest.mark.parametrize(
    ("server", "node", "is_host"),
    [
        (None, "east", False),
        ("middle", "middle", False),
        ("Denver", "Denver", False),
        ("client-2@east", "client-2@east", True),
    ],
)
def test_a_router_serves_at_its_identifier_and_a_host_at_its_address(
    server: str | None, node: str, is_host: bool
) -> None:
    plan = small_plan(dns={"server": server})
    assert plan.name_server is not None and plan.name_server.node == node
    expected = plan.addresses.host(node) if is_host else plan.addresses.router_id(node)
    assert plan.name_server.addresses == (str(expected.ipv4.ip), str(expected.ipv6.ip))
    assert list(name_service.resolv_conf(plan.name_server))[:2] == [
        "search edge.example",
        f"nameserver {expected.ipv4.ip}",
    ]


def test_clients_look_up_every_service_and_d_routers_steer_as_ever(tmp_path: Path) -> None:
    plan = small_plan(dns={"zone": "cats.test", "ttl_s": 3})
    config = process_configs.name_server(plan, tmp_path)
    assert config is not None and config.steering is None
    assert (config.ttl_s, config.zone) == (3, "cats.test")
    assert {service.name: str(service.d_sid) for service in config.services} == {
        "render": "203.0.113.10",
        "conference": "203.0.113.11",
    }
    configured = workload_files.write(plan, tmp_path / "workloads", Path())
    assert [item.host_name for item in configured["client-1@east"]] == ["render.cats.test", "conference.cats.test"]
    generator = process_configs.generator(plan, plan.clients[0], [], 0.0, tmp_path)
    assert generator.name_server == NameServer(config.addresses[0], 53)
    assert [service.name for service in control(plan).services] == ["render", "conference"]
    assert control(plan).listeners == ()


def test_under_dns_ttl_the_name_server_chooses_and_no_d_router_steers(tmp_path: Path) -> None:
    plan = small_plan(policy="dns_ttl", policy_parameters={"dns_ttl": {"ttl_s": 5, "answers": "round_robin"}})
    config = process_configs.name_server(plan, tmp_path)
    assert config is not None and config.steering is not None
    assert (config.steering.chosen_by.ttl_s, config.steering.chosen_by.answers) == (5, "round_robin")
    assert all(service.is_steered for service in config.services)
    (east, middle) = config.steering.sites
    assert east.path_costs_ms == {"middle": middle.path_costs_ms["east"]}
    for site in plan.sites:
        told = control(plan, site)
        assert told.services == () and told.policy_parameters == {}
        assert told.listeners == config.addresses[:1]


def test_one_service_may_be_steered_by_name_and_another_by_its_d_sid(tmp_path: Path) -> None:
    services = {"render": {"d_sid": "203.0.113.10", "policy": "dns_ttl"},
                "conference": {"d_sid": "203.0.113.11", "kind": "rtp"}}  # fmt: skip
    plan = small_plan(services=services)
    config = process_configs.name_server(plan, tmp_path)
    assert config is not None
    assert [service.answer for service in config.services] == ["d_bid", "d_sid"]
    assert [service.name for service in control(plan).services] == ["conference"]


def test_a_run_waits_until_each_node_knows_the_instances_that_it_may_select() -> None:
    def of(*services: str) -> set[str]:
        return {item.d_bid for item in plan.first_instances if item.service in services}

    both = {"render": {"d_sid": "203.0.113.10"}, "conference": {"d_sid": "203.0.113.11", "kind": "rtp"}}
    plan = small_plan(services=both)
    assert plan.d_bids_to_know == {f"control@{site}": of("render", "conference") for site in plan.sites}
    plan = small_plan(services={**both, "render": {**both["render"], "policy": "dns_ttl"}})
    assert plan.name_server is not None and of("render") and of("conference")
    d_routers = {f"control@{site}": of("conference") for site in plan.sites}  # of the other service they keep nothing
    assert plan.d_bids_to_know == {**d_routers, plan.name_server.name: of("render")}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dns": {"server": "Chicagoo"}}, ["dns.server", "Chicagoo", "did you mean 'Chicago'"]),
        ({"dns": {"zone": "-bad-.example."}}, ["dns.zone"]),
        ({"dns": {"ttl_s": -1}}, ["dns.ttl_s"]),
        ({"policy_parameters": {"dns_ttl": {"ttl_s": 1.5}}}, ["dns_ttl", "whole seconds"]),
        ({"policy_parameters": {"dns_ttl": {"answers": "best"}}}, ["dns_ttl", "answers must be one of"]),
        ({"policy": "dns_tll"}, ["policy", "did you mean 'dns_ttl'"]),
    ],
)
def test_what_cannot_be_is_said_in_one_line(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        small_plan(**changes)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)
