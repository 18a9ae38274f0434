"""What is known of a program from outside: its sockets, its JSON."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from testbed.agents.command_instance.json_metrics import Pointer, UnreadableFigures, document, fetch, read
from testbed.agents.host.socket_table import count_connections
from testbed.agents.http.client import Answer

# Ports 80 (0050) and 8080 (1F90). Established, two of loopback; listening; half-closed; time-wait; to another port.
TABLE = """\
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0
   1: 0A00020A:0050 1400010A:9C40 01 00000000:00000000 00:00000000 00000000 0 0 2 1 0 20 0 0 10 -1
   2: 0A00020A:0050 1400010A:9C41 08 00000000:00000000 00:00000000 00000000 0 0 2 1 0 20 0 0 10 -1
   3: 0A00020A:0050 1400010A:9C42 06 00000000:00000000 00:00000000 00000000 0 0 0 3
   4: 0100007F:0050 0100007F:9C43 01 00000000:00000000 00:00000000 00000000 0 0 2 1 0 20 0 0 10 -1
   5: 0A00020A:1F90 1400010A:9C44 01 00000000:00000000 00:00000000 00000000 0 0 2 1 0 20 0 0 10 -1
   6: 0000000000000000FFFF00000A00020A:0050 0000000000000000FFFF00001400010A:9C45 01 0:0 0:0 0 0 0 2 1 0
   7: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000100007F:9C46 01 0:0 0:0 0 0 0 2 1 0
   8: 00000000000000000000000001000000:0050 00000000000000000000000001000000:9C47 01 0:0 0:0 0 0 0 2 1 0
   9: 000000FD000000000000000010000000:0050 000000FD000000000000000020000000:9C48 01 0:0 0:0 0 0 0 2 1 0
"""


@pytest.mark.parametrize(("port", "count"), [(80, 4), (8080, 1), (5, 0)])
def test_connections_to_a_port_are_counted_without_those_of_the_host_itself(port: int, count: int) -> None:
    assert count_connections(TABLE.splitlines(), port) == count


DOCUMENT = {
    "queue": {"length": 3, "a/b": 0.25},
    "workers": [{"busy": 1}, {"busy": 0}],
    "name": "x",
    "ok": True,
    "n": -1,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [(Pointer("/queue/length"), 3), (Pointer("/queue/a~1b", 1000.0), 250), (Pointer("/workers/0/busy"), 1)],
)
def test_a_pointer_finds_its_figure(pointer: Pointer, value: float) -> None:
    assert read(DOCUMENT, {"figure": pointer}) == {"figure": value}


@pytest.mark.parametrize("at", ["/queue/none", "/workers/7/busy", "/workers/first", "/name", "/ok", "/n", "/name/0/x"])
def test_what_is_no_figure_is_named(at: str) -> None:
    with pytest.raises(UnreadableFigures, match=at):
        read(DOCUMENT, {"figure": Pointer(at)})


@pytest.mark.parametrize(("value", "times"), [(10**400, 1.0), (1e300, 1e300), (float("inf"), 1.0), (float("nan"), 1.0)])
def test_a_figure_that_no_metric_could_have_is_named(value: float, times: float) -> None:
    with pytest.raises(UnreadableFigures, match=r"/x is .*, which is no number in 0\.\."):
        read({"x": value}, {"figure": Pointer("/x", times)})


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 5000, b"NaN", b"\xff"], ids=range(4))
def test_a_document_that_cannot_be_read_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableFigures):
        document(Answer(200, body))


class _Status(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"no JSON" if self.path == "/text" else json.dumps(DOCUMENT).encode()
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Status) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_document_is_fetched_and_what_is_none_is_told(url: str) -> None:
    assert fetch(f"{url}/status?format=json", 5) == DOCUMENT
    for path, word in (("/none", "404"), ("/text", "Expecting value")):
        with pytest.raises(UnreadableFigures, match=word):
            fetch(url + path, 5)
    with pytest.raises(OSError):
        fetch("http://localhost:1/", 5)
