"""A web page on this machine alone, and the events that keep it moving.

Owns sockets and threads. There is one state, the latest: who publishes replaces it and never waits, and each client
is sent what is the latest whenever it has taken in the one before. So a slow browser skips states, and a run is not
held up. Requests that name another host than this one are refused: no page of another site may read a run by having
its name resolve to here (DNS rebinding). Knows nothing of what the events say.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from testbed.experiment.launch.processes import RunError
from testbed.experiment.live import page

HEARTBEAT_S = 10.0
_ADDRESS = "127.0.0.1"
_OWN_NAMES = ("127.0.0.1", "localhost", "::1")
_SEND_TIMEOUT_S = 10.0  # who takes in nothing for so long is gone
_FAREWELL_S = 2.0
_MOST_CONNECTIONS = 64  # each has a thread
_NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Broadcast:
    """The latest of each kind of event, for any number of readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._latest: dict[str, tuple[int, bytes]] = {}
        self._version = 0
        self._readers = 0
        self.is_over = False

    def publish(self, kind: str, event: bytes, *, last: bool = False) -> None:
        """Put an event in the place of the one of its kind before; after the `last` one there are no more."""
        with self._changed:
            self._version += 1
            self._latest.pop(kind, None)  # so that kinds stay in the order of their latest event
            self._latest[kind] = self._version, event
            self.is_over = self.is_over or last
            self._changed.notify_all()

    def since(self, version: int, timeout_s: float) -> tuple[int, bytes]:
        """Wait for events that came after a version (0: all there are); return the new version and what they say."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version or self.is_over, timeout_s)
            return self._version, b"".join(event for number, event in self._latest.values() if number > version)

    def __enter__(self) -> Broadcast:
        with self._changed:
            self._readers += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()

    def wait_read(self, timeout_s: float) -> None:
        """Wait until no reader is left, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._readers, timeout_s)


class EventServer:
    """Serve the page at `/` and the events of a broadcast at `/events`, from threads, while the block lasts.

    `port` 0: a free one. Raises RunError if the port cannot be had.
    """

    def __init__(self, broadcast: Broadcast, port: int = 0, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._broadcast = broadcast
        try:
            self._server = _Server(broadcast, port, heartbeat_s)
        except (OSError, OverflowError) as error:
            raise RunError(f"port {port} of {_ADDRESS} cannot be had ({error}): choose another with --port") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="live page", daemon=True)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{_ADDRESS}:{self._server.server_port}/"

    def __enter__(self) -> EventServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._broadcast.is_over:
            self._broadcast.wait_read(_FAREWELL_S)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS
    block_on_close = False  # a browser that is gone must not keep the command

    def __init__(self, broadcast: Broadcast, port: int, heartbeat_s: float) -> None:
        self.broadcast = broadcast
        self.heartbeat_s = heartbeat_s
        self.page = page.assembled()
        self._room = threading.Semaphore(_MOST_CONNECTIONS)
        super().__init__((_ADDRESS, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection from a thread; refuse it if there are many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(_NO_ROOM)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: a browser that closes its connection is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SEND_TIMEOUT_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "dyncast", ""

    def do_GET(self) -> None:
        """Answer with the page or the events."""
        self.close_connection = True  # a thread for each connection is soon free again
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _OWN_NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "this page is for this machine alone")
        elif self.path == "/":
            self._send_page()
        elif self.path == "/events":
            self._send_events()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the run."""

    def _send_page(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.server.page.html)))
        self.send_header("Content-Security-Policy", self.server.page.policy)
        self._end_headers()
        self.wfile.write(self.server.page.html)

    def _send_events(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self._end_headers()
        version = 0
        with self.server.broadcast as broadcast:
            while True:
                ends = broadcast.is_over  # asked first: what comes with the end is still sent
                version, said = broadcast.since(version, self.server.heartbeat_s)
                if said or not ends:
                    self.wfile.write(said or b": still here\n\n")
                if ends:
                    return

    def _end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()
