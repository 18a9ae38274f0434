"""The name server and generators that ask it, as real processes on the loopback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.integration.agent_processes import free_ports
from tests.integration.generator_process import REPOSITORY, Client, TcpPeer, UdpPeer, echo, outcomes, running
from traffic.arrivals.file import Arrival

_D_SID = "127.0.0.2"
_SITES = [{"site": "here", "prefixes": ["127.0.0.0/8"], "path_costs_ms": {}}]


class Server:
    """A name server's process, and what it wrote."""

    def __init__(self, folder: Path, answer: str = "d_sid", **changes: Any) -> None:
        self.folder = folder
        self.port, self.in_band_port = free_ports(2)
        self._document = {
            "name": "dns@here", "seed": 1, "out_dir": str(folder), "addresses": ["127.0.0.1"], "port": self.port,
            "zone": "edge.example", "ttl_s": 30,
            "services": [{"name": "render", "d_sid": _D_SID, "answer": answer}], **changes,
        }  # fmt: skip

    @contextmanager
    def serving(self) -> Iterator[None]:
        path = self.folder / "dns.json"
        path.write_text(json.dumps(self._document))
        command = [sys.executable, "-m", "testbed.agents.name_server", str(path)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        try:
            ready = self.folder / "dns@here.ready"
            wait_until(lambda: ready.exists() or process.poll() is not None, 30, "the name server")
            yield
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()
            process.wait()

    def ask(self, name: str = "render.edge.example.") -> dns.message.Message:
        return dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", timeout=10, port=self.port)

    def rows(self, table: str) -> list[dict[str, str]]:
        return list(whole_rows(self.folder / f"{table}.dns@here.part.csv"))

    def counted(self) -> Counter[str]:
        return Counter({row["kind"]: int(row["messages"]) for row in self.rows("control")})


def _client(folder: Path, port: int) -> Client:
    return Client(folder, name_server={"address": "127.0.0.1", "port": port})


def test_a_client_asks_once_and_its_flows_go_to_the_answer(tmp_path: Path) -> None:
    server = Server(tmp_path)
    client = _client(tmp_path, server.port)
    with (
        running(TcpPeer("answer", _D_SID).begin) as web,
        running(UdpPeer(echo, _D_SID).begin) as media,
        server.serving(),
    ):
        name = {"host_name": "render.edge.example"}
        client.http(web.port, [Arrival(0.01 * number, 1) for number in range(50)], d_sid="127.0.0.9", **name)
        client.rtp(media.port, [Arrival(0, 0.2), Arrival(0.1, 0.2)], d_sid="127.0.0.9", **name)
        client.run()
    rows = client.rows("flows")
    assert outcomes(rows) == {"ok": 52}
    assert {(row["dst"], row["d_sid"]) for row in rows} == {(_D_SID, "127.0.0.9")}
    waited = [row for row in rows if float(row["resolution_ms"]) > 0]
    assert len(waited) >= 2  # the first of each kind, and who came before the answer
    (asked,) = client.rows("dns")
    assert (asked["host_name"], asked["type"], asked["answer"]) == ("render.edge.example", "A", _D_SID)
    assert (asked["outcome"], asked["ttl_s"]) == ("ok", "30")
    assert all(f"Host: render.edge.example:{web.port}\r\n".encode() in request for request in web.requests)
    counted = server.counted()
    assert (counted["dns_query"], counted["dns_answer"], counted["dns_noerror"]) == (1, 1, 1)


def test_a_client_asks_again_when_its_answer_has_expired(tmp_path: Path) -> None:
    server = Server(tmp_path, ttl_s=0)
    client = _client(tmp_path, server.port)
    with running(TcpPeer("answer", _D_SID).begin) as web, server.serving():
        client.http(web.port, [Arrival(0.2 * number, 1) for number in range(10)], host_name="render.edge.example")
        client.run()
    assert outcomes(client.rows("flows")) == {"ok": 10}
    assert len(client.rows("dns")) == server.counted()["dns_query"] >= 2


def test_flows_to_a_name_that_does_not_exist_are_unresolved(tmp_path: Path) -> None:
    server = Server(tmp_path)
    client = _client(tmp_path, server.port)
    with server.serving():
        name = {"host_name": "nobody.edge.example"}
        client.http(9, [Arrival(0.01 * number, 1) for number in range(10)], **name)
        client.rtp(9, [Arrival(0, 0.2)], **name)
        client.run()
    rows = client.rows("flows")
    assert outcomes(rows) == {"unresolved": 11}
    assert not any(row["started_s"] or row["dst"] or row["src_port"] for row in rows)
    assert {row["outcome"] for row in client.rows("dns")} == {"no_name"}


def test_who_waits_for_an_answer_when_the_generator_is_told_to_end_has_a_row(tmp_path: Path) -> None:
    with running(UdpPeer(lambda _, __: []).begin) as silent:
        client = _client(tmp_path, silent.port)
        name = {"host_name": "render.edge.example"}
        client.http(9, [Arrival(0, 1), Arrival(0.01, 1)], **name)
        client.rtp(9, [Arrival(0, 0.2)], **name)
        process = client.start()
        wait_until(lambda: silent.received, 20, "a question")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert set(outcomes(client.rows("flows"))) == {"interrupted"}


def test_an_instance_is_answered_from_its_first_report_on(tmp_path: Path) -> None:
    server = Server(tmp_path, answer="d_bid")
    steering = {"ttl_s": 7, "answers": "least_loaded", "in_band_port": server.in_band_port,
                "metric_lifetime_s": 60, "sites": _SITES}  # fmt: skip
    server._document["steering"] = steering
    raw = RawMetrics(4, queue_limit=50, sessions=1)
    told = report_of(ip_address(_D_SID), ip_address("127.0.0.5"), State.UP, raw)
    with server.serving(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        assert server.ask().rcode() == dns.rcode.SERVFAIL
        agent.sendto(codec.encode(Report("here", 1, time.monotonic(), (told,))), ("127.0.0.1", server.in_band_port))
        answer = wait_until(lambda: server.ask().answer, what="an answer")
        assert answer[0].to_text() == "render.edge.example. 7 IN A 127.0.0.5"
    (decision, *_) = server.rows("decisions")
    assert (decision["policy"], decision["src"], decision["d_bid"]) == ("dns_ttl", "127.0.0.1", "127.0.0.5")
    assert (decision["d_router"], decision["egress"]) == ("dns@here", "here")
    assert [(row["event"], row["sessions"]) for row in server.rows("metrics")] == [("received", "1")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ttl_s": -1}, "ttl_s"),
        ({"services": [{"name": "render", "d_sid": _D_SID, "answer": "d_bid"}]}, "steering is missing"),
        ({"addresses": []}, "addresses"),
        ({"addresses": ["192.0.2.1"]}, "192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    server = Server(tmp_path, **changes)
    path = tmp_path / "dns.json"
    path.write_text(json.dumps(server._document))
    command = [sys.executable, "-m", "testbed.agents.name_server", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (1, 2) and len(done.stderr.splitlines()) == 1
    assert words in done.stderr
