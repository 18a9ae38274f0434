"""Functions with a D-SID: services that Dyncast steers, whose instances are the clusters that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.execution.planned_manifest import planned
from testbed.experiment.scenario.file import ScenarioError, parse
from testbed.experiment.systems.alto.launch import process_configs, workload_files
from testbed.experiment.systems.dyncast.launch import process_configs as dyncast_configs
from testbed.experiment.systems.dyncast.launch import rehearsal
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from tests.function_scenarios import functions_document, functions_plan
from tests.scenarios import SWITCH, small_document

D_SID = "203.0.113.20"
ECHO = functions_document()["functions"]["echo"]
STEERED = {"echo": {**ECHO, "steering": {"d_sid": D_SID, "policy": "closest", "idle_s": 20}}}
PLACED: dict[str, Any] = {"alto": {"site": "east"}, "delivery": {"repository": "east", "site": "east"}}


def steered(**changes: Any) -> DyncastPlan:
    return DyncastPlan.of(functions_plan(**{"functions": STEERED, **changes}))


def test_clusters_that_hold_the_function_are_instances_of_its_d_sid() -> None:
    plan = steered()
    addresses = {item.name: str(item.address) for item in functions_plan().clusters}
    assert {(item.name, item.host, item.d_bid) for item in plan.offered} == {
        (name, name, address) for name, address in addresses.items()
    }
    assert plan.offers_to_know == {(D_SID, address) for address in addresses.values()}
    assert not plan.instances and plan.instance_addresses >= {*addresses.values()}, "whose packets no client may see"


def test_d_routers_are_configured_with_the_service_and_agents_poll_the_clusters() -> None:
    plan = steered()
    control = dyncast_configs.control(
        plan, "east", Path(), datapath_id=1, openflow_fd=3, uplink_port=1, in_band_fd=3, switch=SWITCH, zones={}
    )
    (service,) = control.services
    assert (service.name, str(service.d_sids[0]), service.policy, service.affinity_timeout_s) == (
        "echo", D_SID, "closest", 20,
    )  # fmt: skip
    assert {str(address) for address in control.d_bids} == {item.d_bid for item in plan.offered}
    agent = dyncast_configs.metric_agent(plan, "middle", Path())
    assert agent is not None
    (polled,) = agent.instances
    assert (str(polled.metrics_url), polled.reported) == (f"http://{polled.d_bid}:9100/metrics/echo", "while_served")
    assert dyncast_configs.metric_agent(plan, "east", Path()) is None


def test_every_cluster_with_the_memory_may_come_to_be_an_instance_of_a_function_that_is_placed() -> None:
    clusters = [*functions_document()["clusters"], {"site": "east", "slots": 1, "memory_mb": 64}]
    function = {**STEERED["echo"], "delivered_to": ["middle"]}
    plan = steered(functions={"echo": function}, clusters=clusters, **PLACED)
    assert {item.name: item.is_first for item in plan.offered} == {"cluster@middle": True, "cluster@west": False}


def test_the_manifest_has_the_service_and_the_policy() -> None:
    manifest = planned(functions_plan(functions=STEERED), None, "now", {})
    assert manifest.services["echo"].d_sid == D_SID
    assert manifest.policies == {"echo": "closest"}
    assert [item.name for item in manifest.instances] == ["cluster@middle", "cluster@west"]
    assert set(manifest.round_trip_ms["east"]) == {"middle", "west"}


@pytest.mark.parametrize(
    ("changes", "d_sid", "asked_first"),
    [({}, D_SID, None), (PLACED, D_SID, "cluster-client@east")],
    ids=["users post to the D-SID", "the cluster client says so first"],
)
def test_whom_users_ask(changes: dict[str, Any], d_sid: str, asked_first: str | None, tmp_path: Path) -> None:
    plan = functions_plan(functions=STEERED, **changes)
    configured = workload_files.write(plan, tmp_path, tmp_path, "me:key")
    for (config,) in configured.values():
        assert (str(config.d_sid), config.port) == (d_sid, 3233)
        first = config.asked_first
        assert (config.names[str(first[0])] if first else None) == asked_first


def test_with_redirect_http_all_is_as_without_a_d_sid(tmp_path: Path) -> None:
    function = {**ECHO, "steering": {"d_sid": D_SID, "redirect": "http"}}
    plan = functions_plan(functions={"echo": function}, **PLACED)
    assert DyncastPlan.of(plan).offered == () and "echo" not in DyncastPlan.of(plan).scenario.services
    configured = workload_files.write(plan, tmp_path, tmp_path, "me:key")
    assert {config.asked_first for (config,) in configured.values()} == {None}
    client = process_configs.cluster_client(
        plan,
        plan.servers["cluster-client"],
        plan.scenario.delivery,
        "me:key",
        tmp_path,  # type: ignore[arg-type]
    )
    assert client.functions["echo"].steering is None
    assert process_configs.cluster(plan, plan.clusters[0], "me:key", Path(), run_dir=Path()).admin_port is None


def test_all_configurations_can_be_read_again(tmp_path: Path) -> None:
    metrics = {"authentication": "hmac", "agent_at": "edge"}
    learnt = {"services_known": "learnt", "d_sid_ranges": ["203.0.113.0/24"]}
    function = {**ECHO, "steering": {"d_sid": D_SID}}
    for changes in ({}, {"metrics": metrics}, learnt):
        plan = steered(functions={"echo": function}, **changes, **PLACED)
        rehearsal.check(plan, Path("functions.yaml"), tmp_path, with_load=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_sid": "fd00:5::1"}, ["functions.echo.steering.d_sid", "IPv6"]),
        ({"d_sid": "10.1.0.1"}, ["functions.echo.steering.d_sid", "overlaps"]),
        ({"d_sid": "203.0.113.10"}, ["functions.echo.steering.d_sid", "services.render"]),
        ({"policy": "dyncats"}, ["functions.echo.steering.policy", "did you mean 'dyncast'"]),
        ({"policy": "oracle"}, ["functions.echo.steering.policy", "oracle looks into instances"]),
        ({"policy": "dns_ttl"}, ["functions.echo.steering.policy", "dns_ttl goes by names"]),
        ({"redirect": "ftp"}, ["functions.echo.steering.redirect"]),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: dict[str, Any], words: list[str]) -> None:
    function = {**ECHO, "steering": {"d_sid": D_SID, **changes}}
    both = {key: small_document()[key] for key in ("services", "instances")}
    _refused({"functions": {"echo": function}, **both}, words)


def test_what_does_not_go_together_is_named() -> None:
    steering = {"d_sid": D_SID}
    alone = {"functions": {"echo": {**ECHO, "delivered_to": [], "steering": steering}}, "workloads": []}
    _refused(alone, ["functions.echo.steering", "no cluster will hold 'echo'"])
    short = {**PLACED, "delivery": {**PLACED["delivery"], "unused_s": 5}}
    _refused({"functions": {"echo": {**ECHO, "steering": steering}}, **short}, ["steering.kept_s", "unused_s"])
    service = {"services": {"echo": {"d_sid": "203.0.113.9"}}, "instances": [{"service": "echo", "site": "east"}]}
    _refused({"functions": STEERED, **service}, ["functions.echo.steering", "a service is called 'echo' already"])
    outside = {"d_sid_ranges": ["198.51.100.0/24"]}
    _refused({"functions": STEERED, **outside}, ["functions.echo.steering.d_sid", "none of the d_sid_ranges"])
    learnt = {"services_known": "learnt", "d_sid_ranges": ["203.0.113.0/24"]}
    _refused({"functions": STEERED, **learnt}, ["functions.echo.steering.policy", "learnt"])


def _refused(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        functions_plan(**changes) if "workloads" not in changes else parse(functions_document(**changes), "f.yaml")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
