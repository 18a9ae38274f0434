"""A metric agent as a real process, between a real instance and a socket that plays the D-Router."""

from __future__ import annotations

import csv
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testbed.dyncast.codec import Report, decode
from testbed.dyncast.metrics import State
from tests.integration.agent_processes import Start, free_ports, launcher
from tests.polling import wait_until

NAME = "dma@chicago"


@pytest.fixture(name="start")
def fixture_start(tmp_path: Path) -> Iterator[Start]:
    with launcher(tmp_path) as start:
        yield start


@contextmanager
def metric_agent(folder: Path, d_router_port: int, urls: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run an agent with one binding per URL, D-BIDs 10.3.0.10 and on."""
    config = {
        "name": NAME,
        "site": "chicago",
        "seed": 7,
        "d_router": ["127.0.0.1", d_router_port],
        "interval_s": 0.2,
        "instances": [
            {"d_sid": "203.0.113.10", "d_bid": f"10.3.0.{10 + number}", "metrics_url": url}
            for number, url in enumerate(urls)
        ],
        "out_dir": str(folder),
    }
    path = folder / "agent.json"
    path.write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed.agents.metric_agent", str(path)], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=10)
        assert (process.returncode, error) == (0, "")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.{NAME}.part.csv").open() as stream:
        return list(csv.DictReader(stream))


def next_report(sock: socket.socket, fits: Any = lambda _: True) -> Report:
    """Receive reports until one fits."""
    deadline_s = time.monotonic() + 15
    while time.monotonic() < deadline_s:
        message = decode(sock.recv(2000))
        assert isinstance(message, Report)
        if fits(message):
            return message
    raise AssertionError("no such report came")


@pytest.fixture
def d_router() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def test_an_instance_is_reported_until_it_stops_and_then_as_down(
    tmp_path: Path, start: Start, d_router: socket.socket
) -> None:
    running = start()
    url = f"http://127.0.0.1:{running.admin}/metrics"
    with metric_agent(tmp_path, d_router.getsockname()[1], [url]):
        first = next_report(d_router, lambda report: report.bindings[0].state is State.UP)
        (binding,) = first.bindings
        assert (first.site, str(binding.d_sid), str(binding.d_bid)) == ("chicago", "203.0.113.10", "10.3.0.10")
        assert binding.raw is not None
        assert (binding.raw.workers, binding.raw.queue_limit, binding.score) == (2, 2, 10)
        second = next_report(d_router)
        assert second.sequence == first.sequence + 1
        assert second.sent_s > first.sent_s
        running.stop()
        down = next_report(d_router, lambda report: report.bindings[0].state is State.DOWN)
        assert down.bindings[0].score == 0
    rows = table(tmp_path, "metrics")
    assert {row["event"] for row in rows} == {"sent"}
    up = [row for row in rows if row["workers"]]
    assert {(row["node"], row["workers"], row["score"]) for row in up} == {(NAME, "2", "10")}
    sent = [row for row in table(tmp_path, "control") if row["kind"] == "report"]
    assert int(sent[-1]["messages"]) == len(rows)
    assert int(sent[-1]["bytes"]) > 0


def test_load_shows_in_the_report(tmp_path: Path, start: Start, d_router: socket.socket) -> None:
    running = start()
    url = f"http://127.0.0.1:{running.admin}/metrics"
    with (
        metric_agent(tmp_path, d_router.getsockname()[1], [url]),
        socket.create_connection(("127.0.0.1", running.http)) as client,
    ):
        client.sendall(b"GET /?work_ms=4000 HTTP/1.1\r\nHost: a\r\n\r\n")
        report = next_report(
            d_router, lambda report: report.bindings[0].raw and report.bindings[0].raw.utilisation > 0.4
        )
        raw = report.bindings[0].raw
        assert raw is not None
        assert (raw.busy_workers, raw.sessions) == (1, 1)
        assert report.bindings[0].score < 10


def test_malformed_answers_are_dropped_with_a_reason_and_silence_holds_nobody_up(
    tmp_path: Path, start: Start, d_router: socket.socket
) -> None:
    """Three instances: one sane, one that talks nonsense, one that accepts and never answers."""
    running = start()
    with socket.create_server(("127.0.0.1", 0)) as nonsense, socket.create_server(("127.0.0.1", 0)) as silent:

        def talk() -> None:
            try:
                while True:
                    client, _ = nonsense.accept()
                    with client:
                        client.recv(1000)
                        client.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"workers": -3}')
            except OSError:  # the listening socket was closed: the test is over
                return

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        urls = [
            f"http://127.0.0.1:{port}/metrics"
            for port in (running.admin, nonsense.getsockname()[1], silent.getsockname()[1])
        ]
        with metric_agent(tmp_path, d_router.getsockname()[1], urls):
            report = next_report(d_router, lambda report: len(report.bindings) == 3)
            assert [binding.state for binding in report.bindings] == [State.UP, State.DOWN, State.DOWN]
        nonsense.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    rows = table(tmp_path, "metrics")
    dropped = [row for row in rows if row["event"] == "dropped"]
    assert {(row["d_bid"], row["reason"]) for row in dropped} == {
        ("10.3.0.11", "busy_workers must be an integer, not None")
    }
    sequences = [int(row["sequence"]) for row in rows if row["event"] == "sent" and row["d_bid"] == "10.3.0.10"]
    assert sequences == sorted(set(sequences))


def test_a_d_router_that_is_not_there_does_not_end_the_agent(tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    with metric_agent(tmp_path, closed, [f"http://127.0.0.1:{closed}/metrics"]) as process:
        ready = tmp_path / f"{NAME}.ready"
        wait_until(ready.exists, what="the agent to be ready")
        path = tmp_path / f"metrics.{NAME}.part.csv"
        wait_until(lambda: path.exists() and len(table(tmp_path, "metrics")) > 3, what="reports to be sent")
        assert process.poll() is None
