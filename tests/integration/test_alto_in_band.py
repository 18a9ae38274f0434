"""An ALTO server that is reported to in band: D-Routers, links and clients are real, each in a namespace of its own.

Two D-Routers measure the paths between them, over one of two links; the server is reached over links of its own.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network
from math import inf
from pathlib import Path
from typing import Any

import pytest

from testbed.agents.alto_client.session import Session, Unreachable
from testbed.agents.alto_server import certificates
from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.cluster.config import AltoReportsConfig, ClusterConfig
from testbed.agents.functions.blobs import Source
from testbed.alto import media_types
from testbed.alto.network.facts import KnownLink, KnownNode, NetworkFacts
from testbed.alto.reports.admission import Reporter
from testbed.alto.service.exchange import Request
from testbed.alto.updates.following.client import UpdateClient
from testbed.alto.updates.stream_requests import AddSubstream
from testbed.emulation.links.backend import LinkEnd, LinkRequest
from testbed.emulation.links.links import Links, create_links
from testbed.emulation.netns.namespaces import Namespace, entered, socket_in
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.faas_process import Client, environment_of_cluster
from tests.repository_process import repository
from topologies.spec import LinkSpec

pytestmark = pytest.mark.root

EAST, WEST, SERVER = "east", "west", "server"
ADDRESSES = {EAST: "10.1.0.1", WEST: "10.2.0.1", SERVER: "10.9.0.1"}
IN_BAND_PORT, HTTP_PORT, REPORTS_PORT = 7000, 8181, 8182
FAST_MS, SLOW_MS, RATE_MBPS = 5, 40, 80
URL = f"http://{ADDRESSES[SERVER]}:{HTTP_PORT}"
FACTS = NetworkFacts(
    tuple(KnownNode(site, site, (ip_network(f"{ADDRESSES[site]}/32"),)) for site in (EAST, WEST)),
    (KnownLink(EAST, WEST, FAST_MS, RATE_MBPS),),
    {EAST: {WEST: WEST}, WEST: {EAST: EAST}},
)
FOLLOWED = ("delay-rt-numerical", "lossrate-numerical", "bw-available-numerical")


@dataclass
class Stage:
    """Namespaces by the name of what is in them, and the links between them."""

    namespaces: dict[str, Namespace]
    links: Links
    folder: Path

    def run(self, name: str, *words: str) -> None:
        self.namespaces[name].run(list(words))

    def route(self, interface: str) -> None:
        """Have the two D-Routers reach each other over one of their links."""
        for site, other in ((EAST, WEST), (WEST, EAST)):
            route = [f"{ADDRESSES[other]}/32", "dev", interface, "src", ADDRESSES[site]]
            self.run(site, "ip", "route", "replace", *route)

    def rows(self, table: str, process: str) -> list[dict[str, str]]:
        return list(whole_rows(self.folder / f"{table}.{process}.part.csv"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        spaces = {name: stack.enter_context(Namespace()) for name in ADDRESSES}
        ends = [
            (EAST, "fast", WEST, "fast", LinkSpec(delay_ms=FAST_MS)),
            (EAST, "slow", WEST, "slow", LinkSpec(delay_ms=SLOW_MS)),
            (EAST, "up", SERVER, "down0", LinkSpec()),
            (WEST, "up", SERVER, "down1", LinkSpec()),
        ]
        requests = [
            LinkRequest(LinkEnd(spaces[a].pid, near), LinkEnd(spaces[b].pid, far), spec, f"{a} - {b} {near}")
            for a, near, b, far, spec in ends
        ]
        links = stack.enter_context(closing(create_links(requests, "relay", out_dir=tmp_path)))
        found = Stage(spaces, links, tmp_path)
        for name, address in ADDRESSES.items():
            found.run(name, "ip", "link", "set", "lo", "up")
            found.run(name, "ip", "address", "add", f"{address}/32", "dev", "lo")
        for site, interface in ((EAST, "down0"), (WEST, "down1")):
            found.run(site, "ip", "route", "add", f"{ADDRESSES[SERVER]}/32", "dev", "up", "src", ADDRESSES[site])
            found.run(SERVER, "ip", "route", "add", f"{ADDRESSES[site]}/32", "dev", interface)
        found.route("fast")
        yield found


@contextmanager
def running(argv: list[str], log: Path, netns_pid: int | None = None, fds: tuple[int, ...] = ()) -> Iterator[Any]:
    """Run a process for the block; it ends by SIGTERM, in time and without an error."""
    with log.open("wb") as output, entered(netns_pid):
        process = subprocess.Popen(
            [sys.executable, "-m", *argv], env=environment_of_cluster(), pass_fds=fds, stdout=output, stderr=output
        )
    try:
        yield process
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def server(stage: Stage, **changes: Any) -> Iterator[str]:
    """The ALTO server; returns its name."""
    reporters = {site: Reporter("network", (ip_network(f"{ADDRESSES[site]}/32"),)) for site in (EAST, WEST)}
    fields: dict[str, Any] = {"lifetime_s": 2.0, "reporters": reporters, **changes}
    address = ip_address(ADDRESSES[SERVER])
    config = AltoServerConfig("alto", stage.folder, address, HTTP_PORT, REPORTS_PORT, FACTS, **fields)
    path = stage.folder / "alto.json"
    path.write_text(json.dumps(config.to_document()))
    log = stage.folder / "alto.log"
    with running(["testbed.agents.alto_server", str(path)], log, stage.namespaces[SERVER].pid) as process:
        wait_until(
            lambda: (stage.folder / "alto.ready").exists() or process.poll() is not None, 30, "the server to be ready"
        )
        assert process.poll() is None, log.read_text()
        yield config.name


@contextmanager
def d_router(stage: Stage, site: str, other: str) -> Iterator[None]:
    """The control process of a D-Router, which measures and reports; its switch never connects."""
    pid, name = stage.namespaces[site].pid, f"control@{site}"
    with (
        socket_in(pid, socket.AF_INET, socket.SOCK_DGRAM) as in_band,
        socket_in(pid, socket.AF_NETLINK, socket.SOCK_RAW) as netlink,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        in_band.bind((ADDRESSES[site], IN_BAND_PORT))
        document = {
            "name": name,
            "site": site,
            "seed": 1,
            "out_dir": str(stage.folder),
            "datapath_id": 1,
            "openflow_fd": listening.fileno(),
            "uplink_port": 1,
            "in_band_fd": in_band.fileno(),
            "in_band_port": IN_BAND_PORT,
            "services": [],
            "probe_interval_s": 0.05,
            "peers": [{"site": other, "address": ADDRESSES[other], "path_cost_ms": 2 * FAST_MS}],
            "ports": {
                "netlink_fd": netlink.fileno(),
                "interval_s": 0.1,
                "ports": [{"name": "fast", "rate_mbps": RATE_MBPS, "queue_packets": 1000}],
            },
            "alto": {
                "server": [ADDRESSES[SERVER], REPORTS_PORT],
                "interval_s": 0.1,
                "window_s": 0.5,
                "links": {"fast": other},
            },
        }
        path = stage.folder / f"{site}.json"
        path.write_text(json.dumps(document))
        fds = (in_band.fileno(), netlink.fileno(), listening.fileno())
        with running(["ryu_apps.launcher", str(path)], stage.folder / f"{site}.log", fds=fds):
            yield


async def followed(client: UpdateClient, session: Session) -> AsyncIterator[bytes]:
    """Follow updates; return the octets of each piece, which the client has taken in."""
    headers = {"Content-Type": media_types.UPDATE_STREAM_PARAMS}
    opening = Request("POST", f"{URL}/updates", headers, client.open_request())
    async for octets in session.stream(opening):
        client.receive(octets)
        yield octets


def cost(client: UpdateClient, name: str, source: str = EAST, destination: str = WEST) -> float | None:
    """Return what a client that follows updates has for a cost."""
    document = client.copies[name].document
    found: float | None = document and document["cost-map"].get(source, {}).get(destination)
    return found


def are_delays(client: UpdateClient, least_ms: float, most_ms: float = inf) -> bool:
    """Whether the client's delays, both ways, are those of a round trip over a link from so long to so long."""
    delays_us = [cost(client, "delay-rt-numerical", *pair) for pair in ((EAST, WEST), (WEST, EAST))]
    return all(delay_us is not None and 2e3 * least_ms <= delay_us < 2e3 * most_ms for delay_us in delays_us)


def test_a_path_that_changes_changes_the_cost_map_and_who_follows_is_sent_a_patch(stage: Stage) -> None:
    patches: list[bytes] = []

    async def follow(*steps: tuple[Callable[[], None], Callable[[UpdateClient], bool]]) -> None:
        """Do each step, and go on when the client has what it must have then."""
        client = UpdateClient({name: AddSubstream(name) for name in FOLLOWED}, f"{URL}/updates")
        async with Session() as session:
            octets = followed(client, session)
            for number, (act, is_there) in enumerate(steps):
                await asyncio.to_thread(act)
                while not is_there(client):
                    piece = await anext(octets)
                    if number:
                        patches.append(piece)
            await octets.aclose()  # type: ignore[attr-defined]

    def cut_all() -> None:
        stage.links.cut(f"{EAST} - {WEST} fast")
        stage.links.cut(f"{EAST} - {WEST} slow")

    with server(stage) as name, d_router(stage, EAST, WEST), d_router(stage, WEST, EAST):
        steps = (
            (
                lambda: None,
                lambda client: are_delays(client, FAST_MS, SLOW_MS) and cost(client, FOLLOWED[2]) is not None,
            ),
            (lambda: stage.route("slow"), lambda client: are_delays(client, SLOW_MS)),
            (cut_all, lambda client: cost(client, "lossrate-numerical") == 100),
        )
        with entered(stage.namespaces[SERVER].pid):
            asyncio.run(asyncio.wait_for(follow(*steps), 90))
            answer = asyncio.run(_get(f"{URL}/costs/delay-rt-numerical"))
    assert answer["cost-map"] == {}  # what does not come back has no delay
    assert answer["meta"]["cost-type"]["cost-context"]["cost-source"] == "estimation"
    assert patches and all(b"merge-patch" in piece and b"alto-costmap+json" not in piece for piece in patches)
    rows = stage.rows("alto", name)
    assert {row["kind"] for row in rows} == {"request", "update", "report"}
    reports = [row for row in rows if row["kind"] == "report" and row["outcome"] in ("changed", "same")]
    assert {row["peer"] for row in reports} == {EAST, WEST}
    assert all(float(row["age_s"]) >= 0 and int(row["bytes"]) > 0 for row in reports)
    sent = [row for row in stage.rows("control", f"control@{EAST}") if row["kind"] == "alto_report"]
    assert sent and sent[-1]["peer"] == "alto"


async def _get(url: str) -> Any:
    async with Session() as session:
        return json.loads((await session.fetch(Request("GET", url))).body)


def test_what_a_d_router_that_ended_measured_is_left_out(stage: Stage) -> None:
    def costs() -> dict[str, Any]:
        with entered(stage.namespaces[SERVER].pid):
            found: dict[str, Any] = asyncio.run(_get(f"{URL}/costs/delay-rt-numerical"))["cost-map"]
            return found

    with server(stage), d_router(stage, WEST, EAST):
        with d_router(stage, EAST, WEST):
            wait_until(lambda: costs().keys() == {EAST, WEST}, 60, "both to report")
        wait_until(
            lambda: costs() == {}, 60, "what was measured to be left out"
        )  # of the other, too: nobody answers it


def test_a_cluster_reports_what_it_has_and_is_left_out_when_it_ended(stage: Stage) -> None:
    def properties() -> dict[str, Any]:
        with entered(stage.namespaces[SERVER].pid):
            found: dict[str, Any] = asyncio.run(_get(f"{URL}/clusters"))["property-map"].get(".ane:cluster@east", {})
            return found

    address = ip_address(ADDRESSES[EAST])
    reporters = {"cluster@east": Reporter("cluster", (ip_network(f"{address}/32"),))}
    reports = AltoReportsConfig((ip_address(ADDRESSES[SERVER]), REPORTS_PORT), 0.1)
    containers = stage.folder / "containers"
    containers.mkdir()
    config = ClusterConfig(
        "cluster@east", stage.folder, address, 3233, "me:secret", containers, slots=3, memory_mb=768,
        prewarmed={"python:3": 1}, alto=reports,
    )  # fmt: skip
    path = stage.folder / "cluster.json"
    path.write_text(json.dumps(config.to_document()))
    with server(stage, reporters=reporters):
        log, pid = stage.folder / "cluster.log", stage.namespaces[EAST].pid
        with running(["testbed.agents.cluster", str(path)], log, pid) as process:
            wait_until(lambda: process.poll() is not None or properties().get(".priv:runtimes", {}).get("python:3"), 60)
            assert process.poll() is None, log.read_text()
            found = properties()
            assert (found[".priv:slots"], found[".priv:slots-free"]) == (3, 3)
            assert found[".priv:memory-free-mb"] == 768 and found[".priv:cpus"] > 0
            code = stage.folder / "sleep.py"
            code.write_text("import time\ndef main(args):\n    time.sleep(args['s'])\n    return {}")
            client = Client(f"http://{address}:3233", "me:secret")
            with entered(pid), repository(stage.folder / "repository", {"sleep": Source(code, "python:3")}) as origin:
                digest = origin.digest("sleep")
                assert client.delivered(client.deliver(digest, origin.url))["state"] == "done"
                assert client.result("sleep", {"s": 0.25}) == {}
            wait_until(lambda: digest in properties()[".priv:functions"], 60, "the function to be seen")
            wait_until(lambda: properties()[".priv:functions"][digest]["warm"] == 1, 60, "its container to be seen")
            assert properties()[".priv:functions"][digest]["run-ms"] >= 250
            assert len(properties()[".priv:blobs"]) == 1
            with entered(pid):
                assert client.ask("POST", "actions/sleep", {"s": 50}).status == 202
            wait_until(lambda: properties()[".priv:slots-free"] == 2, 60, "the function to be seen to run")
            assert properties()[".priv:memory-free-mb"] == 512
        wait_until(lambda: properties() == {".priv:addresses": [str(address)]}, 60, "the cluster to be left out")
    sent = [row for row in stage.rows("control", config.name) if row["kind"] == "alto_report"]
    assert sent and int(sent[-1]["bytes"]) > int(sent[-1]["messages"]) > 0


def test_bad_reports_are_counted_and_change_nothing(stage: Stage) -> None:
    with server(stage) as name:
        with socket_in(stage.namespaces[EAST].pid, socket.AF_INET, socket.SOCK_DGRAM) as ours:
            for number in range(100):
                ours.sendto(b"GET / HTTP/1.1 %d" % number, (ADDRESSES[SERVER], REPORTS_PORT))
                time.sleep(0)
        wait_until(
            lambda: any(row["kind"] == "reports_malformed" for row in stage.rows("control", name)), 30, "the count"
        )
        with entered(stage.namespaces[SERVER].pid):
            assert asyncio.run(_get(f"{URL}/costs/hopcount-numerical"))["cost-map"][EAST][WEST] == 1
    counted = [row["messages"] for row in stage.rows("control", name) if row["kind"] == "reports_malformed"]
    assert int(counted[-1]) == 100
    refused = [row for row in stage.rows("alto", name) if row["outcome"] == "reports_malformed"]
    over_s = float(refused[-1]["time_s"]) - float(refused[0]["time_s"])
    assert 20 <= len(refused) <= 21 + 10 * over_s  # of a flood, few have a row


def test_a_server_in_a_network_serves_by_tls_to_its_users(stage: Stage) -> None:
    files = certificates.make(stage.folder, [ADDRESSES[SERVER]], datetime.now(timezone.utc))

    async def cost(user: tuple[str, str]) -> Any:
        async with Session(files.authority, user) as session:
            answer = await session.fetch(Request("GET", f"https{URL.removeprefix('http')}/costs/hopcount-numerical"))
            return json.loads(answer.body)["cost-map"][EAST][WEST]

    with (
        server(stage, certificate=files.certificate, key=files.key, users={"me": "secret"}),
        entered(stage.namespaces[EAST].pid),
    ):
        assert asyncio.run(cost(("me", "secret"))) == 1
        with pytest.raises(Unreachable, match="does not know"):
            asyncio.run(cost(("me", "guess")))


@pytest.mark.parametrize(("field", "words"), [("reports_port", "reports_port"), ("port", "choose another port")])
def test_a_port_that_is_taken_is_said_in_one_line(
    tmp_path: Path, field: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    kind = socket.SOCK_DGRAM if field == "reports_port" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        ports = {"port": 0, "reports_port": 0, field: taken.getsockname()[1]}
        config = AltoServerConfig("alto", tmp_path, ip_address("127.0.0.1"), network=FACTS, **ports)
        path = tmp_path / "alto.json"
        path.write_text(json.dumps(config.to_document()))
        done = subprocess.run(
            [sys.executable, "-m", "testbed.agents.alto_server", str(path)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1 and not capfd.readouterr().err
    (line,) = done.stderr.splitlines()
    assert line.startswith("alto: ") and words in line
