"""From scenario to plan: names, places, addresses, and what cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.experiment.scenario.file import ScenarioError, load
from testbed.experiment.systems.dyncast.launch import process_configs, workload_files
from tests.scenarios import EXAMPLE_SCENARIOS, EXAMPLES, SWITCH, dyncast_plan, small_document, small_plan


@pytest.mark.parametrize("path", EXAMPLE_SCENARIOS, ids=lambda path: path.stem)
def test_examples_can_be_built(path: Path) -> None:
    plan = dyncast_plan(load(path), path)
    assert len({item.d_bid for item in plan.instances}) == len(plan.instances)


def test_everything_has_a_name_a_place_and_an_address() -> None:
    plan = small_plan()
    assert plan.sites == ("east", "middle")
    assert [(item.name, item.site) for item in plan.instances] == [
        ("render-1@east", "east"),
        ("render-1@middle", "middle"),
        ("conference-1@middle", "middle"),
    ]
    assert [client.name for client in plan.clients] == ["client-1@east", "client-2@east"]
    assert plan.path_cost_ms("east", "middle") == pytest.approx(2 * (0.5 + 5.731 + 0.5), abs=0.01)


def test_instances_take_the_hosts_of_the_drafts_figure() -> None:
    path = EXAMPLES / "figures" / "cfn-figure-2.yaml"
    plan = dyncast_plan(load(path), path)
    bindings: dict[str, list[str]] = {}
    for item in plan.instances:
        bindings.setdefault(item.service, []).append(item.host)
    assert bindings == {"SID1": ["BID21"], "SID2": ["BID22", "BID32"], "SID3": ["BID33"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"topology": "topozoo/Abilenne"}, ["Abilenne", "did you mean 'topozoo/Abilene'"]),
        ({"topology": "nowhere.yaml"}, ["nowhere.yaml"]),
        ({"sites": {"east": {"at": "New Yrok"}, "middle": {"at": "Chicago"}}}, ["sites.east.at", "New York"]),
        ({"sites": {"east": {"at": "New York"}}}, ["middle"]),
        ({"services": {"render": {"d_sid": "10.1.0.1"}, "conference": {"d_sid": "203.0.113.11", "kind": "rtp"}}},
         ["services.render.d_sid", "10.1.0.1", "east"]),
        ({"services": {"render": {"d_sid": "224.0.0.1"}, "conference": {"d_sid": "203.0.113.11", "kind": "rtp"}}},
         ["services.render.d_sid"]),
        ({"clients": []}, ["workloads[0].clients", "no clients"]),
        ({"clients": [{"site": "est"}]}, ["est", "east"]),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_said_in_one_line(changes: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        small_plan(**changes)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("small.yaml: ")
    for word in words:
        assert word in str(caught.value)


def test_a_disconnected_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.yaml"
    path.write_text("name: split\nnodes: [a, b, c]\nlinks: [{a: a, b: b}]\n")
    with pytest.raises(ScenarioError, match="disconnected"):
        small_plan(topology=str(path))


@pytest.mark.parametrize(("workload", "rate"), [(0, 50_000), (1, 5_000)])
def test_more_load_than_the_generators_can_send_is_refused(workload: int, rate: float) -> None:
    document = small_document()
    document["workloads"][workload]["arrivals"] = {"rate_per_s": rate}
    with pytest.raises(ScenarioError, match=rf"workloads\[{workload}\].*more than their generators can send"):
        small_plan(**document)


def _arrivals(folder: Path, **changes: object) -> dict[str, str]:
    workload_files.write(small_plan(**changes), folder, Path())
    return {path.name: path.read_text() for path in folder.glob("*.csv")}


def test_arrivals_come_from_the_seed_alone(tmp_path: Path) -> None:
    first = _arrivals(tmp_path / "a", policy="closest")
    assert first == _arrivals(tmp_path / "b", policy="dyncast")
    assert first != _arrivals(tmp_path / "c", seed=2)


def test_a_workload_is_dealt_to_its_clients_whole(tmp_path: Path) -> None:
    files = _arrivals(tmp_path, duration_s=200)
    rows = [len(text.splitlines()) - 1 for name, text in files.items() if name.startswith("jobs")]
    assert len(rows) == 2
    assert sum(rows) == pytest.approx(20 * 200, rel=0.08)
    assert min(rows) > 0.4 * sum(rows)


def test_a_trace_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("offset_s\n0.5\n1.5\n")
    document = small_document()
    document["workloads"][0]["arrivals"] = {"process": "trace", "path": "trace.csv"}
    workload_files.write(small_plan(**document), tmp_path / "out", tmp_path)
    drawn = [path.read_text().splitlines()[1:] for path in (tmp_path / "out").glob("jobs.*.csv")]
    assert sorted(row.partition(",")[0] for rows in drawn for row in rows) == ["0.500000000", "1.500000000"]


def test_every_d_router_knows_all_others_and_all_services(tmp_path: Path) -> None:
    services = small_document()["services"]
    services["render"]["affinity"] = {"mode": "datapath"}
    plan = small_plan(services=services)
    config = process_configs.control(
        plan, "east", tmp_path, datapath_id=1, openflow_fd=9, uplink_port=1, in_band_fd=3,
        switch=SWITCH, zones={"render": 4711},
    )  # fmt: skip
    assert [peer.site for peer in config.peers] == ["middle"]
    assert {service.name: [str(d_sid) for d_sid in service.d_sids] for service in config.services} == {
        "render": ["203.0.113.10"],
        "conference": ["203.0.113.11"],
    }
    assert [service.ct_zone for service in config.services] == [4711, None]
    assert config.switch is not None
    assert [str(prefix) for prefix in config.switch.prefixes] == ["10.1.0.0/16", "fd00:d:1::/64"]
