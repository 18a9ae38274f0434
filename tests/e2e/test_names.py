"""Services by name: a name server in the network, tools and workloads that ask it, and steering by its answers."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.experiment.launch.testbed import Testbed
from tests.machine import dyncast, unchanged
from tests.scenarios import small_document, small_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

Row = dict[str, str]

_SERVICES = {"render": {"d_sid": "203.0.113.10"}, "conference": {"d_sid": "fd00:5::11", "kind": "rtp"}}
_RTT_MS = 2 * (0.5 + 5.731)  # from the clients' site to the name server: the links of Abilene that lie between


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    folder = tmp_path_factory.mktemp("names")
    plan = small_plan(services=_SERVICES, dns={"server": "Chicago"})
    with unchanged(), Testbed(plan, folder, folder / "logs") as testbed:
        yield testbed


def test_a_host_s_own_resolver_finds_services(standing: Testbed) -> None:
    def hosts(name: str) -> tuple[int, set[str]]:
        done = standing.network.run("client-1@east", ["getent", "ahosts", name], timeout_s=30)
        return done.returncode, {line.split()[0] for line in done.stdout.splitlines()}

    assert hosts("render.edge.example") == (0, {"203.0.113.10"})
    assert hosts("conference") == (0, {"fd00:5::11"})  # the zone is searched
    assert hosts("nobody.edge.example") == (2, set())
    outside = standing.network.run(None, ["getent", "ahosts", "render.edge.example"], timeout_s=30)
    assert "203.0.113.10" not in outside.stdout


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("server", [0, 1], ids=["ipv4", "ipv6"])
def test_the_name_server_answers_at_each_address_by_udp_and_tcp(standing: Testbed, transport: str, server: int) -> None:
    address = [str(item.ip) for item in standing.network.plan.router_id("Chicago")][server]
    question = (
        "import dns.message, dns.query\n"
        "query = dns.message.make_query('conference.edge.example.', 'AAAA', use_edns=0)\n"
        f"print(dns.query.{transport}(query, {address!r}, timeout=20).answer[0][0])"
    )
    done = standing.network.run("client-2@east", [sys.executable, "-c", question], timeout_s=40)
    assert done.stdout == "fd00:5::11\n", done.stderr


def test_curl_reaches_a_service_by_its_name(standing: Testbed) -> None:
    command = ["curl", "-sSi", "http://render.edge.example/?work_ms=5"]
    done = standing.network.run("client-1@east", command, timeout_s=30)
    assert done.stdout.startswith("HTTP/1.1 200") and "X-Dyncast-Instance: render-1@" in done.stdout, done.stderr


def _run(folder: Path, **changes: object) -> Path:
    document = small_document(services=_SERVICES, **changes)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(document))
    with unchanged():
        done = dyncast("run", str(path), "--out", str(folder / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (folder / "results" / "small").iterdir()
    assert [check.name for check in checks(load(run_dir)) if not check.ok] == []
    return run_dir


def _rows(run_dir: Path, table: str) -> list[Row]:
    with (run_dir / f"{table}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _seen_by(run_dir: Path) -> dict[tuple[str, str, str, str], set[str]]:
    """Return the instances that saw each flow: the ground truth."""
    seen: dict[tuple[str, str, str, str], set[str]] = {}
    for row in _rows(run_dir, "affinity"):
        seen.setdefault((row["service"], row["proto"], row["src"], row["src_port"]), set()).add(row["instance"])
    return seen


def test_workloads_learn_d_sids_by_name_and_their_flows_are_steered(tmp_path: Path) -> None:
    # D-Routers are told of no service, either: they learn them from reports.
    ranges = ["203.0.113.0/24", "fd00:5::/64"]
    run_dir = _run(tmp_path, dns={"server": "Chicago", "ttl_s": 1}, d_sid_ranges=ranges, services_known="learnt")
    counted = {(row["node"], row["kind"]): row["messages"] for row in _rows(run_dir, "control")}
    assert [counted[site, "services_learnt"] for site in ("east", "middle")] == ["2", "2"]
    assert {row["service"] for row in _rows(run_dir, "decisions")} == {"render", "conference"}
    flows, looked_up = _rows(run_dir, "flows"), _rows(run_dir, "dns")
    assert {row["kind"] for row in flows} == {"http", "rtp_audio"}
    assert all(row["outcome"] == "ok" and row["dst"] == row["d_sid"] for row in flows)
    assert all((row["outcome"], row["server"][:7]) == ("ok", "172.31.") for row in looked_up)
    assert {(row["host_name"], row["type"], row["answer"]) for row in looked_up} == {
        ("render.edge.example", "A", "203.0.113.10"),
        ("conference.edge.example", "AAAA", "fd00:5::11"),
    }
    assert len(looked_up) > 4  # two clients, two names: some answers expired
    assert all(float(row["took_ms"]) > _RTT_MS for row in looked_up)
    waited = [row for row in flows if float(row["resolution_ms"]) > 0]
    assert len(looked_up) <= len(waited) < len(flows)
    assert all(float(row["started_s"]) - float(row["due_s"]) > _RTT_MS / 1e3 * 0.5 for row in waited[:1])
    decided = {(row["src"], row["src_port"]): row["egress"] for row in _rows(run_dir, "decisions")}
    seen = _seen_by(run_dir)
    for row in flows:
        assert seen[row["service"], row["proto"], row["src"], row["src_port"]] == {row["instance"]}
        assert decided[row["src"], row["src_port"]] == row["site"]


def test_under_dns_ttl_clients_go_where_the_name_server_last_sent_them(tmp_path: Path) -> None:
    parameters = {"dns_ttl": {"ttl_s": 1, "answers": "round_robin"}}
    run_dir = _run(tmp_path, policy="dns_ttl", policy_parameters=parameters, metrics={"authentication": "hmac"})
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["policies"] == {"render": "dns_ttl", "conference": "dns_ttl"}
    flows, looked_up = _rows(run_dir, "flows"), _rows(run_dir, "dns")
    assert all(row["outcome"] == "ok" for row in flows)
    decisions = _rows(run_dir, "decisions")
    assert {(row["d_router"], row["policy"]) for row in decisions} == {("dns@east", "dns_ttl")}
    assert len(decisions) == len(looked_up) < len(flows)
    of_instances = {ip_address(item["d_bid"]): item["name"] for item in manifest["instances"]}
    assert {row["d_bid"] for row in decisions} == {str(d_bid) for d_bid in of_instances}
    seen = _seen_by(run_dir)
    for row in flows:  # its client's last answer before it, and nobody else's idea of where to go
        began_s = float(row["started_s"])
        answers = [
            answer["answer"]
            for answer in looked_up
            if (answer["client"], answer["service"]) == (row["client"], row["service"])
            and float(answer["time_s"]) <= began_s
        ]
        assert row["dst"] == answers[-1] != row["d_sid"]
        assert row["instance"] == of_instances[ip_address(row["dst"])]
        assert seen[row["service"], row["proto"], row["src"], row["src_port"]] == {row["instance"]}
    assert {row["event"] for row in _rows(run_dir, "metrics") if row["node"] == "dns@east"} == {"received"}
