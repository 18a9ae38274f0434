"""An ALTO server that is made to be wrong: it serves former costs, or a wrong delay, until it no longer is."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.alto_server.falsehood import Falsehood, WrongDelay, falsehood_path
from testbed.alto.network.facts import KnownLink, KnownNode, NetworkFacts
from testbed.alto.reports import codec
from testbed.alto.reports.admission import Reporter
from testbed.alto.reports.messages import DelayStatistics, NetworkReport, Origin, PathReport
from testbed.emulation.netns.namespaces import Namespace, entered, socket_in
from testbed.experiment.systems.alto.cluster_api import ClusterApi
from testbed.runtime.polling import wait_until
from tests.faas_process import environment_of_cluster

pytestmark = pytest.mark.root

HERE, HTTP_PORT, REPORTS_PORT = ip_address("127.0.0.1"), 8181, 8182
SITES = {"east": "10.1.0.0/16", "west": "10.2.0.0/16"}
FACTS = NetworkFacts(
    tuple(KnownNode(site, site, (ip_network(prefix),)) for site, prefix in SITES.items()),
    (KnownLink("east", "west", 5.0, 100.0),),
    {"east": {"west": "west"}, "west": {"east": "east"}},
)


@dataclass
class Server:
    """A server in a namespace of its own, that is reported to from its own address."""

    process: subprocess.Popen[bytes]
    netns_pid: int
    folder: Path
    reports: int = 0

    def report(self, round_trip_s: float) -> None:
        """Report a round trip from east to west."""
        self.reports += 1
        statistics = DelayStatistics(5, *(round_trip_s,) * 4)
        origin = Origin("east", 1, self.reports, time.monotonic())
        report = NetworkReport(origin, 1.0, (PathReport("west", 5, 5, statistics, statistics),))
        with socket_in(self.netns_pid, socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.sendto(codec.encode(report), (str(HERE), REPORTS_PORT))

    def asked(self, metric: str) -> dict[str, Any]:
        """Return a cost map."""
        with ClusterApi("alto", self.netns_pid, HERE, HTTP_PORT, "a:b") as api:
            reply = api.ask("GET", f"/costs/{metric}-numerical")
        assert reply.status == 200
        return dict(reply.document)

    def costs(self, metric: str = "delay-rt") -> dict[str, dict[str, float]]:
        """Return its costs."""
        return dict(self.asked(metric)["cost-map"])

    def say(self, falsehood: Falsehood) -> None:
        """Have it say this; return once it does."""
        path = falsehood_path(self.folder, "alto")
        path.write_text(json.dumps(falsehood.to_document()))
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not path.exists(), 10, "the server to take it up")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    reporters = {"east": Reporter("network", (ip_network(HERE),))}
    config = AltoServerConfig("alto", tmp_path, HERE, HTTP_PORT, REPORTS_PORT, FACTS, reporters, lifetime_s=60.0)
    path = tmp_path / "alto.json"
    path.write_text(json.dumps(config.to_document()))
    with Namespace() as namespace:
        namespace.run(["ip", "link", "set", "lo", "up"])
        with (tmp_path / "log").open("wb") as log, entered(namespace.pid):
            words = [sys.executable, "-m", "testbed.agents.alto_server", str(path)]
            process = subprocess.Popen(words, env=environment_of_cluster(), stdout=log, stderr=log)
        try:
            wait_until((tmp_path / "alto.ready").exists, 30, "the server to be ready")
            yield Server(process, namespace.pid, tmp_path)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()
            process.wait()


def test_a_stale_server_serves_what_it_knew_with_the_same_tags(server: Server) -> None:
    server.report(0.010)
    wait_until(lambda: server.costs() == {"east": {"west": 10_000}}, 10, "the report to be served")
    before = server.asked("delay-rt")
    server.say(Falsehood("former"))
    server.report(0.080)
    server.say(Falsehood("former"))  # once more: the report before was taken in by now
    assert server.asked("delay-rt") == before, "costs and tags"
    server.say(Falsehood())
    assert server.costs() == {"east": {"west": 80_000}}


def test_a_wrong_delay_is_of_one_pair_both_ways_and_follows_what_is_measured(server: Server) -> None:
    server.report(0.010)
    wait_until(lambda: server.costs() == {"east": {"west": 10_000}}, 10, "the report to be served")
    server.say(Falsehood(delays=(WrongDelay("east", "west", factor=0.1),)))
    assert server.costs() == {"east": {"west": 1000}}
    server.report(0.020)
    wait_until(lambda: server.costs() == {"east": {"west": 2000}}, 10, "the next report to be served")
    server.say(Falsehood(delays=(WrongDelay("west", "east", delay_ms=30.0),)))
    assert server.costs() == {"east": {"west": 60_000}, "west": {"east": 60_000}}
    assert server.costs("delay-ow") == {"east": {"west": 30_000}, "west": {"east": 30_000}}
    server.say(Falsehood())
    assert server.costs() == {"east": {"west": 20_000}}


def test_what_is_no_falsehood_is_counted_and_changes_nothing(server: Server) -> None:
    server.report(0.010)
    wait_until(lambda: server.costs() == {"east": {"west": 10_000}}, 10, "the report to be served")
    path = falsehood_path(server.folder, "alto")
    path.write_text('{"delays": 7}')
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: (server.folder / "log").read_text() != "", 10, "the server to complain")
    assert server.costs() == {"east": {"west": 10_000}}
    path.unlink()
