"""A metric agent as a real process, between a real instance and a socket that plays the D-Router."""

from __future__ import annotations

import itertools
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

from testbed.dyncast.messages.codec import decode
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import State
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.integration.agent_processes import Start, free_ports, launcher

NAME = "dma@chicago"


@pytest.fixture(name="start")
def fixture_start(tmp_path: Path) -> Iterator[Start]:
    with launcher(tmp_path) as start:
        yield start


@contextmanager
def metric_agent(folder: Path, d_router_port: int, urls: list[str], **changes: Any) -> Iterator[subprocess.Popen[str]]:
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
        **changes,
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
    return list(whole_rows(folder / f"{name}.{NAME}.part.csv"))


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
        assert 5e6 < binding.raw.memory_bytes < binding.raw.memory_limit_bytes
        assert binding.raw.capacity_per_s == pytest.approx(2 / 0.005)
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


def test_with_a_threshold_only_what_moved_is_told_and_that_it_is_down_at_once(
    tmp_path: Path, start: Start, d_router: socket.socket
) -> None:
    """Of two instances one gets work and then stops; the next refresh is further away than the test is long."""
    (tmp_path / "other").mkdir()
    busy, idle = start(), start(folder=tmp_path / "other")
    urls = [f"http://127.0.0.1:{running.admin}/metrics" for running in (busy, idle)]
    reporting = {"when": "threshold", "refresh_s": 1000, "metric": "busy_workers", "absolute": 1}
    with metric_agent(tmp_path, d_router.getsockname()[1], urls, poll_interval_s=0.05, reporting=reporting):
        known = set()
        while len(known) < 2:
            known |= {str(binding.d_bid) for binding in next_report(d_router).bindings}
        with socket.create_connection(("127.0.0.1", busy.http)) as client:
            client.sendall(b"GET /?work_ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
            begun, ended = next_report(d_router), next_report(d_router)
        busy.stop()
        down = next_report(d_router), next_report(d_router)
    told = [report.bindings for report in (begun, ended, *down)]
    assert [[str(binding.d_bid) for binding in bindings] for bindings in told] == [["10.3.0.10"]] * 4
    assert [binding.raw and binding.raw.busy_workers for (binding,) in told] == [1, 0, None, None]
    assert [report.sequence for report in down] == [ended.sequence + 1, ended.sequence + 2]
    counted = {row["kind"]: int(row["messages"]) for row in table(tmp_path, "control") if row["direction"] == "local"}
    assert (counted["told_change"], counted["told_state"]) == (2, 4)
    assert "told_refresh" not in counted
    polls = [row for row in table(tmp_path, "control") if row["kind"] == "poll" and row["direction"] == "sent"]
    assert int(polls[-1]["messages"]) > down[-1].sequence  # it looks more often than it tells


def test_the_budget_holds_reports_back(tmp_path: Path, start: Start, d_router: socket.socket) -> None:
    running = start()
    url = f"http://127.0.0.1:{running.admin}/metrics"
    reporting = {"when": "interval", "refresh_s": 0.05, "budget": {"per_s": 2, "burst": 1}}
    with metric_agent(tmp_path, d_router.getsockname()[1], [url], poll_interval_s=0.05, reporting=reporting):
        sent_s = [next_report(d_router).sent_s for _ in range(4)]
    assert all(after - before >= 0.5 - 1e-6 for before, after in itertools.pairwise(sent_s))
    control = table(tmp_path, "control")
    held_back = [int(row["messages"]) for row in control if row["kind"] == "reports_held_back"]
    assert held_back[-1] > 0


def test_a_d_router_that_is_not_there_does_not_end_the_agent(tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    with metric_agent(tmp_path, closed, [f"http://127.0.0.1:{closed}/metrics"]) as process:
        ready = tmp_path / f"{NAME}.ready"
        wait_until(ready.exists, what="the agent to be ready")
        wait_until(lambda: len(table(tmp_path, "metrics")) > 3, what="reports to be sent")
        assert process.poll() is None


def test_an_exchange_that_the_network_lost_is_repeated_before_the_instance_is_down(
    tmp_path: Path, start: Start, d_router: socket.socket
) -> None:
    """Of the connections, the first is never answered; the limit is long, so that a busy machine does not matter."""
    running = start()
    with socket.create_server(("127.0.0.1", 0)) as front:

        def lose_the_first() -> None:
            lost = []
            try:
                while True:
                    client, _ = front.accept()
                    if not lost:
                        lost.append(client)
                        continue
                    with client, socket.create_connection(("127.0.0.1", running.admin)) as instance:
                        instance.sendall(client.recv(1000))
                        while part := instance.recv(65536):
                            client.sendall(part)
            except OSError:  # the listening socket was closed: the test is over
                for client in lost:
                    client.close()

        thread = threading.Thread(target=lose_the_first, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{front.getsockname()[1]}/metrics"
        with metric_agent(tmp_path, d_router.getsockname()[1], [url], interval_s=4):
            assert next_report(d_router).bindings[0].state is State.UP
            wait_until(lambda: max(_polls(tmp_path), default=0) > 1, what="both polls to be counted")
        front.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _polls(folder: Path) -> list[int]:
    rows = table(folder, "control")
    return [int(row["messages"]) for row in rows if (row["kind"], row["direction"]) == ("poll", "sent")]


def test_reports_that_the_kernel_does_not_take_are_counted(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    # Nobody may send there without asking for it, nor finds a way there where there is no network.
    everybody = ["255.255.255.255", port]
    with metric_agent(tmp_path, port, ["http://127.0.0.1:1/"], d_router=everybody):
        wait_until(lambda: table(tmp_path, "control"), 20, "its counters")
    (row,) = [row for row in table(tmp_path, "control") if row["kind"] == "messages_unsent"][-1:]
    refused = [row for row in table(tmp_path, "metrics") if row["reason"].startswith("not sent: ")]
    assert 0 < int(row["messages"]) == len(refused) and row["direction"] == "local"
