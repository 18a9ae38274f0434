"""All processes of function delivery on loopback: ALTO server and client, cluster client, repository, two clusters.

Sites are parts of 127.0.0.0/8: users are at `mid`, clusters at `east` and `west`. Clusters report what they have; what
a D-Router would report, the test sends to the ALTO server: paths as long as it sets them.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from testbed.agents.alto_client.config import AltoClientConfig
from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.cluster.config import AltoReportsConfig, ClusterConfig
from testbed.agents.cluster_client.config import ClusterClientConfig, ClusterPlace, PlacedFunction
from testbed.agents.functions.blobs import Source
from testbed.alto.network.facts import KnownLink, KnownNode, NetworkFacts
from testbed.alto.reports import codec
from testbed.alto.reports.admission import Reporter
from testbed.alto.reports.messages import DelayStatistics, NetworkReport, Origin, PathReport
from testbed.records.parts import whole_rows
from testbed.runtime.document import ProcessConfig
from testbed.runtime.polling import wait_until
from tests.faas_process import Client, environment_of_cluster, remove_groups
from tests.machine import CHECKOUT
from tests.repository_process import RepositoryOfTest, free_port, repository

USERS, EAST, WEST = "mid", "east", "west"
SITES = {USERS: "127.0.3.0/24", EAST: "127.0.1.0/24", WEST: "127.0.2.0/24"}
USER = "127.0.3.20"
_CLUSTER_AT = {EAST: "127.0.1.12", WEST: "127.0.2.12"}
_AT = {"alto": "127.0.9.1", "alto-client": "127.0.9.2", "cluster-client": "127.0.9.3", **_CLUSTER_AT}  # nobody else's
_AUTH = "me:secret"
_REPORT_EVERY_S = 0.1
_NAMES = {
    "alto": "testbed.agents.alto_server",
    "alto-client": "testbed.agents.alto_client",
    "cluster-client": "testbed.agents.cluster_client",
    EAST: "testbed.agents.cluster",
    WEST: "testbed.agents.cluster",
}


class Reply(NamedTuple):
    """What an HTTP server answered."""

    status: int
    fields: Mapping[str, str]
    document: Any


def ask(url: str, method: str = "GET", body: Any = None, source: str = "127.0.0.1", **fields: str) -> Reply:
    """Ask an HTTP server, from an address of loopback; redirects are not followed."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60, source_address=(source, 0))
    try:
        octets = None if body is None else json.dumps(body).encode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target or "/", octets, {"Content-Type": "application/json", **fields})
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.headers), json.loads(answer.read() or b"null"))
    finally:
        connection.close()


@dataclass
class Platform:
    """The processes, and what the test has them believe of the network. `rtt_ms`: from users to each cluster's site."""

    folder: Path
    repository: RepositoryOfTest
    run_dir: Path
    rtt_ms: dict[str, float] = field(default_factory=lambda: {EAST: 5.0, WEST: 60.0})
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in (*_NAMES, "reports")})
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    clusters: dict[str, Client] = field(default_factory=dict)
    _sequence: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        """Where a process serves."""
        return f"http://{_AT[name]}:{self.ports[name]}"

    def invoke(self, function: str, parameters: Any = None, query: str = "blocking=true&result=true") -> Reply:
        """Have a user ask the cluster client, and follow its redirect as a client of the platform does."""
        path = f"/api/v1/namespaces/_/actions/{function}?{query}"
        sent = ask(self.url("cluster-client") + path, "POST", parameters or {}, source=USER)
        if sent.status != 307:
            return sent
        held = next(one for one in self.clusters.values() if sent.fields["Location"].startswith(one.url))
        return ask(sent.fields["Location"], "POST", parameters or {}, Authorization=held.authorization)

    def sent_to(self, function: str) -> str:
        """Where the cluster client sends a user now."""
        path = f"/api/v1/namespaces/_/actions/{function}?blocking=true"
        location = ask(self.url("cluster-client") + path, "POST", {}, source=USER).fields["Location"]
        return next(name for name, one in self.clusters.items() if location.startswith(one.url))

    def listed(self) -> dict[str, Any]:
        """The ALTO client's list for users, by cluster."""
        reply = ask(f"{self.url('alto-client')}/clusters?address={USER}")
        return {one["cluster"]: one for one in reply.document["clusters"]} if reply.status == 200 else {}

    def rows(self, table: str, process: str) -> list[dict[str, str]]:
        """What a process wrote."""
        return list(whole_rows(self.folder / f"{table}.{process}.part.csv"))

    def start(self, config: ProcessConfig) -> None:
        """Start a process; return once it serves."""
        name = config.name
        path, ready = self.folder / f"{name}.json", self.folder / f"{name}.ready"
        path.write_text(json.dumps(config.to_document()))
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", _NAMES[name], str(path)]
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(command, cwd=CHECKOUT, env=environment_of_cluster(), stderr=log, text=True)
        self.processes[name] = process
        wait_until(lambda: ready.exists() or process.poll() is not None, 60, f"{name} to be ready")
        if process.poll() is not None:
            pytest.fail(f"{name} ended: {(self.folder / f'{name}.log').read_text()}")

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a process; return its exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        code = process.wait(timeout=30)
        if number is signal.SIGKILL:
            remove_groups(process.pid)
        return code

    def report(self) -> None:
        """Report paths, time and again, until the platform is over."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._is_over.is_set():
                out.sendto(self._report(), (_AT["alto"], self.ports["reports"]))
                self._is_over.wait(_REPORT_EVERY_S)

    def stop_reporting(self) -> None:
        """Report nothing any more."""
        self._is_over.set()

    def _report(self) -> bytes:
        self._sequence += 1
        paths = tuple(_path(site, rtt_ms / 1e3) for site, rtt_ms in self.rtt_ms.items())
        return codec.encode(NetworkReport(Origin(USERS, 1, self._sequence, time.monotonic()), 1.0, paths))


def _path(peer: str, rtt_s: float) -> PathReport:
    return PathReport(peer, 10, 10, DelayStatistics(10, rtt_s, rtt_s, rtt_s, rtt_s))


def alto_server(platform: Platform) -> AltoServerConfig:
    """The configuration of the ALTO server."""
    nodes = tuple(KnownNode(site, site, (ip_network(prefix),)) for site, prefix in SITES.items())
    links = (KnownLink(USERS, EAST, 1.0, 1000.0), KnownLink(USERS, WEST, 1.0, 1000.0))
    hops = {USERS: {EAST: EAST, WEST: WEST}, EAST: {USERS: USERS, WEST: USERS}, WEST: {USERS: USERS, EAST: USERS}}
    clusters = {name: Reporter("cluster", (ip_network(f"{at}/32"),)) for name, at in _CLUSTER_AT.items()}
    reporters = {USERS: Reporter("network", (ip_network("127.0.0.0/8"),)), **clusters}
    ports = platform.ports["alto"], platform.ports["reports"]
    return AltoServerConfig(
        "alto", platform.folder, ip_address(_AT["alto"]), *ports, NetworkFacts(nodes, links, hops), reporters
    )


def cluster(platform: Platform, name: str) -> ClusterConfig:
    """The configuration of a cluster, which reports to the ALTO server."""
    run_dir = platform.run_dir / name  # of a short name: sockets are in it
    run_dir.mkdir(exist_ok=True)
    alto = AltoReportsConfig((ip_address(_AT["alto"]), platform.ports["reports"]), _REPORT_EVERY_S)
    address, port = ip_address(_AT[name]), platform.ports[name]
    return ClusterConfig(name, platform.folder, address, port, _AUTH, run_dir, slots=4, alto=alto)


def alto_client(platform: Platform, **changes: Any) -> AltoClientConfig:
    """The configuration of the ALTO client."""
    directory = f"{platform.url('alto')}/directory"
    more = {"repository": ip_address(USER), **changes}
    address, port = ip_address(_AT["alto-client"]), platform.ports["alto-client"]
    return AltoClientConfig("alto-client", platform.folder, address, port, directory, **more)


def cluster_client(platform: Platform, **changes: Any) -> ClusterClientConfig:
    """The configuration of the cluster client."""
    fields: dict[str, Any] = {
        "seed": 1,
        "functions": {"echo": PlacedFunction(run_ms=5.0)},
        "clusters": {name: ClusterPlace(one.url, one.auth) for name, one in platform.clusters.items()},
        "sites": {site: (ip_network(prefix),) for site, prefix in SITES.items()},
        "refresh_s": 0.1,
        "report_lag_s": 1.0,
        **changes,
    }
    return ClusterClientConfig(
        "cluster-client",
        platform.folder,
        ip_address(_AT["cluster-client"]),
        platform.ports["cluster-client"],
        platform.url("alto-client"),
        platform.repository.url,
        **fields,
    )


def _is_known(listed: Mapping[str, Any]) -> bool:
    """Whether the ALTO client knows of each cluster what it has, and how far it is."""
    return listed.keys() == _CLUSTER_AT.keys() and all(
        "slots" in one and "delay_rt_ms" in one["from_user"] for one in listed.values()
    )


@contextmanager
def platform(folder: Path, **changes: Any) -> Iterator[Platform]:
    """Have all processes while the block runs; `changes`: of the cluster client. They end in time, without an error."""
    code = folder / "echo.py"
    code.write_text("def main(args):\n    return {'said': args}\n")
    with ExitStack() as stack:
        functions = {"echo": Source(code, "python:3")}
        store = stack.enter_context(repository(folder / "repository", functions))
        run_dir = stack.enter_context(TemporaryDirectory(prefix="edge"))
        running = Platform(folder, store, Path(run_dir))
        reporting = threading.Thread(target=running.report, daemon=True)
        try:
            running.start(alto_server(running))
            reporting.start()
            for name in _CLUSTER_AT:
                running.start(cluster(running, name))
                running.clusters[name] = Client(running.url(name), _AUTH)
            running.start(alto_client(running))
            wait_until(lambda: _is_known(running.listed()), 60, "the list")
            running.start(cluster_client(running, **changes))
            yield running
            codes = {name: running.end(name) for name in reversed(list(running.processes))}
            assert codes == dict.fromkeys(codes, 0), codes
        finally:
            running.stop_reporting()
            if reporting.is_alive():
                reporting.join(timeout=30)
            for process in running.processes.values():
                process.kill()
                process.wait()
                remove_groups(process.pid)
