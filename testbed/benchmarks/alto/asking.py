"""A client of the benchmark's server that costs next to nothing: HTTP/1.1 on sockets, bodies into one buffer."""

from __future__ import annotations

import socket
from typing import NamedTuple

from testbed.alto.updates.events.sse_decoder import SseDecoder
from testbed.alto.updates.events.sse_events import Event
from testbed.errors import TestbedError

_HEAD_END = b"\r\n\r\n"
_WITHIN_S = 60.0


class Unanswered(TestbedError):
    """The server did not answer as it should."""


class Received(NamedTuple):
    """An answer; the octets of its body are there until the next one."""

    status: int
    body: memoryview


class Connection:
    """A connection that stays open."""

    def __init__(self, port: int, most_octets: int = 1 << 16) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_WITHIN_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(most_octets + (1 << 16)))

    def ask(self, request: bytes) -> Received:
        """Send a request, and return its answer."""
        self._socket.sendall(request)
        received, end = 0, -1
        while end < 0:
            received += self._take(received)
            end = bytes(self._buffer[: min(received, 1 << 16)]).find(_HEAD_END)
        head = bytes(self._buffer[:end]).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        body, length = end + len(_HEAD_END), int(fields["content-length"])
        while received < body + length:
            received += self._take(received)
        return Received(int(head.split(" ", 2)[1]), self._buffer[body : body + length])

    def follow(self, request: bytes) -> Stream:
        """Send a request whose answer does not end, and return its events."""
        self._socket.sendall(request)
        return Stream(self._socket)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _take(self, at: int) -> int:
        octets = self._socket.recv_into(self._buffer[at:])
        if not octets:
            raise Unanswered("the server closed the connection")
        return octets


class Stream:
    """Events of an update stream, as chunks of HTTP bring them."""

    def __init__(self, opened: socket.socket) -> None:
        self._stream = opened.makefile("rb")
        self._decoder = SseDecoder()
        self._events: list[Event] = []
        if b" 200 " not in self._stream.readline():
            raise Unanswered("the server has no update stream")
        while self._stream.readline() not in (b"\r\n", b""):
            pass

    def next(self) -> Event:
        """Return the next event."""
        while not self._events:
            size = int(self._stream.readline().strip() or b"0", 16)
            if not size:
                raise Unanswered("the update stream ended")
            self._events = self._decoder.feed(self._stream.read(size))
            self._stream.readline()
        return self._events.pop(0)


def request(method: str, path: str, body: bytes = b"", **fields: str) -> bytes:
    """Return a request; names of header fields have underscores here."""
    headers = {"Host": "127.0.0.1"} | ({"Content-Length": str(len(body))} if body else {})
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **named}.items())]
    return "\r\n".join(lines).encode() + _HEAD_END + body
