"""The page and its events over real sockets: what is sent, to whom, and that nobody holds the run up."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from testbed.experiment.launch.processes import RunError
from testbed.experiment.live import documents, event_server
from testbed.experiment.live.event_server import Broadcast, EventServer
from testbed.experiment.live.watching import Watched, shown
from testbed.records.writer import RecordWriter
from testbed.runtime.polling import wait_until
from tests.scenarios import small_plan


@pytest.fixture
def broadcast() -> Broadcast:
    return Broadcast()


@pytest.fixture
def server(broadcast: Broadcast) -> Iterator[EventServer]:
    with EventServer(broadcast, heartbeat_s=0.05) as server:
        yield server
        if not broadcast.is_over:
            _publish(broadcast, "end", last=True)


def _publish(broadcast: Broadcast, kind: str, *, last: bool = False, **document: Any) -> None:
    broadcast.publish(kind, documents.event(kind, document), last=last)


def _port(server: EventServer) -> int:
    return int(server.url.split(":")[2].rstrip("/"))


def _get(server: EventServer, path: str, **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", _port(server), timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def _events(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    """Return (kind, document) as they come; a comment has the kind of a comment."""
    kind = ""
    for line in iter(response.readline, b""):
        name, _, value = line.decode().rstrip("\n").partition(":")
        if name == "event":
            kind = value.strip()
        elif name == "data":
            yield kind, json.loads(value)
        elif not name and value:
            yield "comment", value.strip()


def _told(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    return (item for item in _events(response) if item[0] != "comment")


def test_the_page_is_whole_and_runs_its_own_script_only(server: EventServer) -> None:
    response = _get(server, "/")
    page = response.read().decode()
    policy = response.headers["Content-Security-Policy"]
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "EventSource" in page and "/* live.js */" not in page and "/* live.css */" not in page
    assert "src=" not in page.partition("<script>")[0]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    assert response.headers["Access-Control-Allow-Origin"] is None


def test_who_comes_late_has_all_at_once(server: EventServer, broadcast: Broadcast) -> None:
    _publish(broadcast, "network", nodes=[])
    for number in range(5):
        _publish(broadcast, "state", number=number)
    events = _told(_get(server, "/events"))
    assert next(events) == ("network", {"nodes": []})
    assert next(events) == ("state", {"number": 4})
    _publish(broadcast, "state", number=5)
    assert next(events) == ("state", {"number": 5})


def test_the_end_comes_last_and_closes_the_stream(server: EventServer, broadcast: Broadcast) -> None:
    response = _get(server, "/events")
    _publish(broadcast, "state", number=1)
    _publish(broadcast, "end", last=True, run_dir="results/small/1")
    assert list(_told(response))[-2:] == [("state", {"number": 1}), ("end", {"run_dir": "results/small/1"})]


def test_silence_is_broken_by_comments(server: EventServer) -> None:
    events = _events(_get(server, "/events"))
    assert next(events) == ("comment", "still here")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/events"])
def test_a_name_that_was_made_to_point_here_is_refused(server: EventServer, host: str, path: str) -> None:
    assert _get(server, path, Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "[::1]:8080"])
def test_own_names_are_served_whatever_the_port_is_forwarded_from(server: EventServer, host: str) -> None:
    assert _get(server, "/", Host=host).status == 200


def test_nothing_else_is_served(server: EventServer) -> None:
    assert _get(server, "/../scenario.yaml").status == 404
    assert _get(server, "/live.js").status == 404


def test_it_listens_on_this_machine_alone(server: EventServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert server._server.server_address[0] == "127.0.0.1"


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port} of 127.0.0.1 cannot be had .* --port"):
            EventServer(Broadcast(), port)


def test_a_browser_that_does_not_read_holds_up_nobody(server: EventServer, broadcast: Broadcast) -> None:
    with socket.create_connection(("127.0.0.1", _port(server)), timeout=10) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert deaf.recv(15) == b"HTTP/1.1 200 OK"
        other = _told(_get(server, "/events"))
        big = "x" * 500_000
        for number in range(40):  # 20 MB: more than any socket buffers
            _publish(broadcast, "state", number=number, big=big)
        numbers = []
        for kind, state in other:
            if kind == "state":
                numbers.append(state["number"])
            if numbers and numbers[-1] == 39:
                break
    assert numbers == sorted(numbers)


def test_a_browser_that_goes_frees_its_thread(server: EventServer, broadcast: Broadcast) -> None:
    response = _get(server, "/events")
    assert next(_events(response))[0] == "comment"
    response.close()
    begun_s = time.monotonic()
    broadcast.wait_read(10)  # the heartbeat finds out
    assert time.monotonic() - begun_s < 10
    assert broadcast._readers == 0


def test_connections_take_threads_up_to_a_limit_and_give_them_back(
    server: EventServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_server._Handler, "timeout", 600.0)
    before = threading.active_count()
    with ExitStack() as opened:
        for _ in range(100):  # which ask for nothing
            opened.enter_context(socket.create_connection(("127.0.0.1", _port(server)), timeout=10))
        assert _get(server, "/").status == 503
        assert threading.active_count() - before == 64

    def is_served() -> bool:
        return _get(server, "/").status == 200

    wait_until(is_served, 20, "the page to be served again")


def test_a_run_that_ends_waits_for_browsers_to_hear_of_it() -> None:
    broadcast = Broadcast()
    heard: list[str] = []
    with EventServer(broadcast) as server:
        response = _get(server, "/events")
        reader = threading.Thread(target=lambda: heard.extend(kind for kind, _ in _told(response)))
        reader.start()
        _publish(broadcast, "state")
        _publish(broadcast, "end", last=True)
    reader.join(10)
    assert heard[-1] == "end"


def _followed(work: Path, *, fails: bool = False) -> tuple[str, list[tuple[str, Any]]]:
    """Watch a run of one flow; return what the terminal and a browser were told."""
    console = Console(file=io.StringIO(), width=200)
    heard: list[tuple[str, Any]] = []
    begun_s = time.monotonic() - 3
    with RecordWriter(work, "client-1@east") as writer, shown(small_plan(), console, port=0) as progress:
        assert isinstance(console.file, io.StringIO) and isinstance(progress, Watched)
        said = re.search(r"http://127\.0\.0\.1:(\d+)/", console.file.getvalue())
        assert said is not None
        connection = HTTPConnection("127.0.0.1", int(said.group(1)), timeout=10)
        connection.request("GET", "/events")
        response = connection.getresponse()
        reader = threading.Thread(target=lambda: heard.extend(_told(response)))
        reader.start()
        progress.phase("building")
        progress.traffic(work, begun_s)
        writer.write("flows", {"client": "client-1@east", "d_sid": "203.0.113.10", "due_s": begun_s, "outcome": "ok"})
        writer.flush()
        progress.load(3.0, 4.0, [])
        if fails:
            raise RunError("it broke")
    reader.join(10)
    return console.file.getvalue(), heard


def test_a_watched_run_is_told_from_begin_to_end(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "manifest.json").write_text('{"fidelity": {"verdict": "valid", "reasons": []}}')
    text, heard = _followed(tmp_path / "work")
    told = dict(heard)
    assert "watch it at http://127.0.0.1:" in text and "building" in text
    assert {node["role"] for node in told["network"]["nodes"]} >= {"d_router", "client", "instance"}
    assert told["phase"] == {"text": "building"}
    assert (told["state"]["ended"], told["state"]["failed"]) == (1, {})
    assert heard[-1] == (
        "end",
        {"status": "finished", "error": "", "run_dir": str(tmp_path), "verdict": "valid", "reasons": []},
    )


def test_a_run_that_fails_says_so_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[dict[str, Any]] = []
    monkeypatch.setattr(documents, "event", lambda kind, told: ends.append(told) or b"" if kind == "end" else b"")
    with pytest.raises(RunError, match="it broke"):
        _followed(tmp_path, fails=True)
    assert [(end["status"], end["error"]) for end in ends] == [("failed", "it broke")]
