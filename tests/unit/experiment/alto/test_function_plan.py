"""Where clusters are, what they hold, and whom users ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.experiment.execution.planned_manifest import planned
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.file import ScenarioError, parse
from testbed.experiment.study import study
from testbed.experiment.systems.alto.launch import process_configs, rehearsal
from testbed.experiment.systems.dyncast.launch import process_configs as dyncast_configs
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from tests.function_scenarios import ECHO, functions_document, functions_plan, written
from tests.scenarios import SWITCH, small_document


def test_each_cluster_has_a_host_at_its_site() -> None:
    plan = functions_plan()
    assert [item.name for item in plan.clusters] == ["cluster@middle", "cluster@west"]
    for item in plan.clusters:
        assert plan.topology.site_of(item.name) == item.site
        assert item.address in plan.addresses.site(item.site).prefix4
        assert item.holds == ("echo",)


def test_clients_keep_their_addresses_whether_there_are_clusters_or_not() -> None:
    at_clusters = functions_plan(clients=[{"site": "middle"}, {"site": "east"}])
    assert str(at_clusters.addresses.host("client-1@middle").ipv4.ip).endswith(".0.10")


def test_users_ask_the_nearest_cluster_that_holds_the_function_unless_one_is_named() -> None:
    plan = functions_plan()
    ((_, workload),) = plan.scenario.invocations
    client = plan.clients[0]
    assert plan.asked(workload, client).site == "middle"
    assert plan.asked(workload.model_copy(update={"to": "west"}), client).site == "west"


def test_the_manifest_has_clusters_beside_instances_and_all_round_trips() -> None:
    both = functions_document() | {key: small_document()[key] for key in ("services", "instances")}
    manifest = planned(make_plan(parse(both, "both.yaml"), Path("both.yaml")), None, "now", {})
    assert [item.name for item in manifest.instances] == [
        "render-1@east", "render-1@middle", "conference-1@middle", "cluster@middle", "cluster@west",
    ]  # fmt: skip
    assert set(manifest.round_trip_ms["east"]) == {"east", "middle", "west"}
    assert manifest.of_system("alto")["functions"]["echo"]["delivered_to"] == ["middle", "west"]
    assert set(manifest.services) == {"render", "conference"}


def test_clusters_of_a_run_are_numbered_so_that_their_containers_have_names_of_their_own() -> None:
    plan = functions_plan()
    configs = [process_configs.cluster(plan, item, "me:key", Path(), run_dir=Path()) for item in plan.clusters]
    assert [config.number for config in configs] == [1, 2]
    assert [dict(config.prewarmed) for config in configs] == [{}, {"python:3": 1}]


def test_the_repository_has_all_functions_and_clusters_no_layers_of_their_own(tmp_path: Path) -> None:
    keys = functions_document()["functions"]["echo"] | {"layers": {"data": "data"}}
    plan = functions_plan(tmp_path, functions={"echo": keys}, delivery={"repository": "east"})
    assert plan.repository is not None
    assert plan.topology.site_of("repository@east") == "east"
    config = process_configs.repository(plan, plan.repository, tmp_path, tmp_path)
    assert config.functions["echo"].code == tmp_path / "echo.py"
    assert config.functions["echo"].limits.timeout_ms == 5000
    assert config.functions["echo"].layers == {"data": tmp_path / "data"}
    assert process_configs.cluster(plan, plan.clusters[0], "me:key", tmp_path, run_dir=tmp_path).layers == {}
    without = functions_plan(tmp_path, functions={"echo": keys})
    held = process_configs.cluster(without, without.clusters[0], "me:key", tmp_path, run_dir=tmp_path)
    assert held.layers == {"data": tmp_path / "data"}


PLACED = {"alto": {"site": "west", "interval_s": 0.5}, "delivery": {"repository": "east", "site": "middle"}}


def test_servers_of_function_delivery_have_hosts_of_their_own_and_users_ask_the_cluster_client() -> None:
    plan = functions_plan(**PLACED)
    assert {kind: (item.site, item.port) for kind, item in plan.servers.items()} == {
        "alto": ("west", 8181), "repository": ("east", 8185), "alto-client": ("middle", 8183),
        "cluster-client": ("middle", 8184),
    }  # fmt: skip
    ((_, workload),) = plan.scenario.invocations
    assert plan.asked(workload, plan.clients[0]) is plan.cluster_client
    assert plan.asked(workload.model_copy(update={"to": "west"}), plan.clients[0]).name == "cluster@west"


def test_routers_and_clusters_report_to_the_alto_server_from_their_own_addresses(tmp_path: Path) -> None:
    plan = functions_plan(tmp_path, **PLACED)
    keys = plan.scenario.alto
    assert keys is not None and plan.alto_server is not None
    config = process_configs.alto_server(plan, plan.alto_server, keys, tmp_path)
    assert {name: of.kind for name, of in config.reporters.items()} == {
        "east": "network", "middle": "network", "west": "network",
        "cluster@middle": "cluster", "cluster@west": "cluster",
    }  # fmt: skip
    router = dyncast_configs.control(
        DyncastPlan.of(plan), "east", tmp_path, datapath_id=1, openflow_fd=3, uplink_port=1, in_band_fd=4,
        switch=SWITCH, zones={},
    )  # fmt: skip
    assert router.alto is not None
    assert router.alto.server == (plan.alto_server.address, 8182)
    assert str(plan.addresses.site("east").gateway4.ip) in str(config.reporters["east"].prefixes)
    cluster = process_configs.cluster(plan, plan.clusters[0], "me:key", tmp_path, run_dir=tmp_path)
    assert cluster.alto is not None and cluster.alto.server == router.alto.server


def test_the_cluster_client_knows_what_clusters_hold_already_and_which_users_are_where(tmp_path: Path) -> None:
    plan = functions_plan(tmp_path, **PLACED)
    keys = plan.scenario.delivery
    assert keys is not None and plan.cluster_client is not None
    config = process_configs.cluster_client(plan, plan.cluster_client, keys, "me:key", tmp_path)
    assert config.held == {"echo": ("cluster@middle", "cluster@west")}
    assert set(config.clusters) == {"cluster@middle", "cluster@west"}
    assert plan.addresses.host(plan.clients[0].name).ipv4.ip in config.sites["east"][0]


def test_a_policy_that_there_is_not_is_refused_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    delivery = {**PLACED["delivery"], "policy": "altoo"}
    with pytest.raises(ScenarioError, match=r"functions.yaml: cluster-client@middle would refuse .*policy"):
        rehearsal.check(
            functions_plan(tmp_path, alto=PLACED["alto"], delivery=delivery), Path("functions.yaml"), tmp_path / "work",
            with_load=True,
        )  # fmt: skip


def test_a_study_runs_again_what_other_code_or_payloads_would_change(tmp_path: Path) -> None:
    keys = functions_document()["functions"]["echo"] | {"code": "echo", "layers": {"data": "data"}}
    asks = functions_document()["workloads"][0] | {"payload": {"folder": "frames"}}
    written(tmp_path, functions={"echo": keys}, workloads=[asks])
    for file in ("echo/__main__.py", "data/deep/numbers", "frames/0.jpg"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(ECHO)
    (tmp_path / "study.yaml").write_text("{name: s, scenario: functions.yaml, grid: {duration_s: [4]}, seeds: 1}")

    def fingerprint() -> str:
        return study.load(tmp_path / "study.yaml").cases[0].fingerprint

    before = {fingerprint()}
    for file in ("echo/__main__.py", "data/deep/numbers", "frames/0.jpg"):
        (tmp_path / file).write_text(f"{ECHO}# other\n")
        assert fingerprint() not in before
        before.add(fingerprint())


def test_a_link_reaches_the_users_whose_way_to_a_cluster_crosses_it() -> None:
    fault = {"at_s": 1, "kind": "link_degraded", "link": ["Indianapolis", "Chicago"], "delay_ms": 50}
    (planned,) = functions_plan(faults=[fault]).faults
    assert planned.reach == (("east", "cluster@west"),)
    (planned,) = functions_plan(faults=[{"at_s": 1, "kind": "link_down", "link": ["cluster@middle", "middle"]}]).faults
    assert planned.reach == (("east", "cluster@middle"),)
