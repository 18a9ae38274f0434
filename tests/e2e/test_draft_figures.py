"""The figures of both architecture drafts, and the two clouds of the CATS use cases, as scenarios that run."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.scenario.file import load as load_scenario
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.machine import dyncast
from tests.scenarios import EXAMPLES, dyncast_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

FIGURES = EXAMPLES / "figures"
Row = dict[str, str]


class Results:
    """The tables of a finished run of a figure."""

    def __init__(self, name: str, out: Path, **settings: float) -> None:
        changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done = dyncast("run", str(FIGURES / f"{name}.yaml"), "--out", str(out), *changes)
        assert done.returncode == 0, done.stdout + done.stderr
        (self.folder,) = (out / name).iterdir()
        manifest = json.loads((self.folder / "manifest.json").read_text())
        d_sids = {service: keys["d_sid"] for service, keys in manifest["services"].items()}
        self.d_bids = {(d_sids[item["service"]], item["d_bid"]) for item in manifest["instances"]}

    def rows(self, table: str) -> list[Row]:
        with (self.folder / f"{table}.csv").open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))


def plan_of(name: str, settings: dict[str, Any] | None = None) -> DyncastPlan:
    path = FIGURES / f"{name}.yaml"
    return dyncast_plan(load_scenario(path, settings), path)


def address(plan: DyncastPlan, host: str) -> str:
    return str(plan.addresses.host(host).ipv4.ip)


@contextmanager
def standing(plan: DyncastPlan, folder: Path) -> Iterator[Testbed]:
    with Testbed(plan, folder, folder / "logs") as testbed:
        yield testbed


def asked(testbed: Testbed, client: str, url: str) -> None:
    """Have a client ask a service once, and be served."""
    done = testbed.network.run(client, ["curl", "-sSi", "--max-time", "20", url], timeout_s=30)
    assert done.stdout.startswith("HTTP/1.1 200"), done.stdout + done.stderr


def pids_in(holder: int) -> list[int]:
    """Return the processes in the network namespace of another."""
    namespace = Path(f"/proc/{holder}/ns/net").readlink()
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):  # it has ended
            if link.readlink() == namespace:
                found.append(int(link.parts[2]))
    return found


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


# -- all of them run -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in FIGURES.glob("*-figure-*.yaml")))
def test_a_figure_runs_and_every_demand_is_served(name: str, tmp_path: Path) -> None:
    results = Results(name, tmp_path)
    assert {row["outcome"] for row in results.rows("flows")} == {"ok"}
    assert {(row["d_sid"], row["d_bid"]) for row in results.rows("decisions")} == results.d_bids  # none is left out
    assert [check.name for check in checks(load(results.folder)) if not check.ok] == []


# -- figure 2 of the Dyncast draft -----------------------------------------------------------------


@pytest.fixture(scope="module")
def figure_2(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results("dyncast-figure-2", tmp_path_factory.mktemp("figure-2"), duration_s=4)


def test_each_d_ma_tells_the_bindings_of_its_edge_with_metrics(figure_2: Results) -> None:
    told = defaultdict(set)
    for row in figure_2.rows("metrics"):
        if row["event"] == "sent" and row["workers"] and row["utilisation"]:
            told[row["node"]].add((row["d_sid"], row["d_bid"]))
    plan = plan_of("dyncast-figure-2")
    d_bid = {number: address(plan, f"D-BID-{number}") for number in (21, 22, 31, 32)}
    assert told == {
        "dma@D-Router-2": {("203.0.113.1", d_bid[21]), ("203.0.113.2", d_bid[22])},
        "dma@D-Router-3": {("203.0.113.1", d_bid[31]), ("203.0.113.2", d_bid[32])},
    }


def test_every_d_router_learns_of_every_instance(figure_2: Results) -> None:
    heard = defaultdict(set)
    for row in figure_2.rows("metrics"):
        if row["event"] == "received":
            heard[row["node"]].add((row["d_sid"], row["d_bid"]))
    assert heard == {f"D-Router-{number}": figure_2.d_bids for number in (1, 2, 3)}


def test_d_routers_that_have_clients_decide_and_no_other(figure_2: Results) -> None:
    assert {row["d_router"] for row in figure_2.rows("decisions")} == {"D-Router-1", "D-Router-2"}


def test_a_decision_weighs_the_instances_of_both_edges_with_metrics_and_measured_paths(figure_2: Results) -> None:
    (first, *_) = [row for row in figure_2.rows("decisions") if row["d_router"] == "D-Router-1"]
    candidates = json.loads(first["candidates"])
    assert {item["site"] for item in candidates} == {"D-Router-2", "D-Router-3"}
    for item in candidates:
        one_way_ms = {"D-Router-2": 0.5 + 4 + 0.5, "D-Router-3": 0.5 + 6 + 0.5}[item["site"]]
        assert item["rtt_ms"] >= 2 * one_way_ms
        assert item["sessions"] is not None


def test_dyncast_nodes_speak_to_dyncast_nodes_only(figure_2: Results) -> None:
    d_routers = {"D-Router-1", "D-Router-2", "D-Router-3"}
    speaking = [row for row in figure_2.rows("control") if row["node"] in d_routers and row["direction"] != "local"]
    assert {row["kind"] for row in speaking if row["direction"] == "sent"} == {"report", "probe", "probe_reply"}
    assert {row["peer"] for row in speaking if row["direction"] == "sent"} == d_routers


@pytest.fixture(scope="module")
def standing_figure_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with standing(plan_of("dyncast-figure-2"), tmp_path_factory.mktemp("standing")) as testbed:
        yield testbed


def test_the_infrastructure_knows_no_d_sid_and_carries_flows_to_it(standing_figure_2: Testbed) -> None:
    network = standing_figure_2.network
    for router in ("infrastructure-1", "infrastructure-2", "infrastructure-3"):
        done = network.run(router, ["ip", "route", "get", "203.0.113.1"], timeout_s=10)
        assert done.returncode != 0 and "unreachable" in done.stderr
        assert network.run(router, ["ss", "-Hnltu"], timeout_s=10).stdout == ""  # nobody there to hear of metrics
    asked(standing_figure_2, "client-1", "http://203.0.113.1/?work_ms=5")


def test_a_d_ma_runs_on_the_d_router_of_its_edge(standing_figure_2: Testbed) -> None:
    network = standing_figure_2.network
    for d_router in ("D-Router-2", "D-Router-3"):
        (agent,) = [pid for pid in pids_in(network.pid(d_router)) if "testbed.agents.metric_agent" in command(pid)]
        assert f"dma@{d_router}.json" in command(agent)


# -- the binding tables of both drafts ---------------------------------------------------------------

_AS_DRAWN = ("src", "dst", "proto", "dst_port")
_FIVE_TUPLE = ("src", "dst", "proto", "src_port", "dst_port")
_THREE_TUPLE = ("src", "dst", "proto")
_PATH_NOISE_MS = 2.5  # less than half of what the paths to choose from differ by
_BY_LOAD_AND_PATH = {"policy": "dyncast", "metrics.interval_s": 0.2}


def binding_rows(testbed: Testbed, ingress: str) -> dict[str, dict[str, Any]]:
    """What `dyncast bindings` shows of an ingress, by client."""
    shown = dyncast("bindings", ingress, "--json")
    assert shown.returncode == 0, shown.stderr
    rows = [row for row in json.loads(shown.stdout) if row["run"] == str(testbed.tag)]
    assert len({row["src"] for row in rows}) == len(rows)
    return {row["src"]: row for row in rows}


def busy(heard: Path) -> list[Row]:
    """The reports that a D-Router heard of instances whose workers all worked of late."""
    return [row for row in whole_rows(heard) if float(row["utilisation"] or 0) > 0.99]


def paths_are_measured(testbed: Testbed, ingress: str) -> bool:
    """Whether round trips are what the links make them; while processes start, probes take longer."""
    shown = dyncast("inspect", ingress, "neighbours", "--json", "--run", str(testbed.tag))
    assert shown.returncode == 0, shown.stderr
    (document,) = json.loads(shown.stdout)
    paths = [(row["rtt_ms"], row["path_cost_ms"]) for row in document["neighbours"]]
    return all(rtt_ms is not None and rtt_ms < cost_ms + _PATH_NOISE_MS for rtt_ms, cost_ms in paths)


def two_clients_ask(testbed: Testbed, ingress: str, first: str, second: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the bindings after a client asked, and another when the ingress knew the first one's instance as busy."""
    wait_until(lambda: paths_are_measured(testbed, ingress), 60, "probes to find the paths as they are")
    url = "http://203.0.113.2:8888/"
    long = ["curl", "-sS", "--max-time", "60", f"{url}?work_ms=60000"]
    testbed.network.popen(first, long, name="long-demand", log_path=folder / "long-demand.log")
    heard = folder / f"metrics.control@{ingress}.part.csv"
    wait_until(lambda: len(busy(heard)) >= 5, 30, "the ingress to learn that an instance is busy")
    asked(testbed, second, f"{url}?work_ms=5")
    return binding_rows(testbed, ingress)


def assert_row(row: dict[str, Any], fields: tuple[str, ...], d_bid: str, egress: str) -> None:
    assert (row["d_sid"], row["proto"], row["timeout_s"]) == ("203.0.113.2", "tcp", 60)
    assert (row["d_bid"], row["egress"]) == (d_bid, egress)
    assert row["dst_port"] == (8888 if "dst_port" in fields else None)
    assert (row["src_port"] is not None) == ("src_port" in fields)


@pytest.mark.parametrize("fields", [_AS_DRAWN, _FIVE_TUPLE, _THREE_TUPLE], ids=["as_drawn", "5-tuple", "3-tuple"])
def test_the_flow_binding_table_of_cfn_figure_4_comes_out(fields: tuple[str, ...], tmp_path: Path) -> None:
    plan = plan_of("cfn-figure-4", {"services.SID2.affinity.fields": list(fields), **_BY_LOAD_AND_PATH})
    with standing(plan, tmp_path) as testbed:
        rows = two_clients_ask(testbed, "CFN-node-1", "X", "Y", tmp_path)
        assert set(rows) == {address(plan, "X"), address(plan, "Y")}
        assert_row(rows[address(plan, "X")], fields, address(plan, "BID22"), "CFN-node-2")
        assert_row(rows[address(plan, "Y")], fields, address(plan, "BID32"), "CFN-node-3")


def test_the_binding_table_of_dyncast_figure_3_comes_out(tmp_path: Path) -> None:
    plan = plan_of("dyncast-figure-3", _BY_LOAD_AND_PATH)
    with standing(plan, tmp_path) as testbed:
        rows = two_clients_ask(testbed, "D-Router-1", "Y", "X", tmp_path)
        assert set(rows) == {address(plan, "X"), address(plan, "Y")}
        assert_row(rows[address(plan, "X")], _AS_DRAWN, address(plan, "D-BID-32"), "D-Router-3")
        assert_row(rows[address(plan, "Y")], _AS_DRAWN, address(plan, "D-BID-12"), "D-Router-1")


# -- the two clouds of the CATS use cases ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cloud"),
    [("cats-two-clouds", "vCPE2"), ("cats-two-clouds-congested", "vCPE1")],
    ids=["equal_networks", "congested_path"],
)
def test_the_less_loaded_cloud_serves_unless_the_path_to_it_is_congested(name: str, cloud: str, tmp_path: Path) -> None:
    results = Results(name, tmp_path)
    calls = [row for row in results.rows("flows") if row["workload"] == "branch"]
    assert [(row["site"], row["outcome"]) for row in calls] == [(cloud, "ok")] * 3
    for row in results.rows("decisions"):
        if row["d_router"] == "CPE" and row["service"] == "APP1":
            candidates = {item["site"]: item for item in json.loads(row["candidates"])}
            assert (candidates["vCPE1"]["sessions"], candidates["vCPE2"]["sessions"]) == (5, 2)
            rtt_ms = {site: item["rtt_ms"] for site, item in candidates.items()}
            assert (rtt_ms["vCPE2"] > 2 * rtt_ms["vCPE1"]) == (cloud == "vCPE1")
