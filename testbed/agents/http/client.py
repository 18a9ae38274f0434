"""One HTTP exchange with somebody else's server, which may say anything, at any pace.

Owns the time limit of the whole exchange, and the limit of what is read: a server that sends an octet a second holds
nobody up. The answer's framing is read by the standard library, from octets that are there already. Blocks.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import NamedTuple

from testbed.errors import TestbedError

MOST_OCTETS = 1 << 20
_PART_OCTETS = 1 << 16
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class BadAnswer(TestbedError, ValueError):
    """An answer that is no HTTP, is cut short or too long."""


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


def get(host: str, port: int, path: str, limit_s: float) -> Answer:
    """Ask for a path; the connection and the answer take `limit_s` at most. Raises BadAnswer or OSError."""
    deadline_s = time.monotonic() + limit_s
    with socket.create_connection((host, port), timeout=limit_s) as opened:
        return exchange(opened, f"GET {path}", f"[{host}]:{port}" if ":" in host else f"{host}:{port}", deadline_s)


def exchange(opened: socket.socket, request: str, authority: str, deadline_s: float) -> Answer:
    """Ask on an open connection (`request`: method and path). Raises BadAnswer or OSError.

    It is over at `deadline_s` of CLOCK_MONOTONIC.
    """
    _limit(opened, deadline_s)
    opened.sendall(f"{request} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode())
    received = bytearray()
    framing: _Framing | None = None
    while framing is None or not framing.is_whole(received):
        _limit(opened, deadline_s)
        part = opened.recv(_PART_OCTETS)
        if not part:
            break
        received += part
        if len(received) > MOST_OCTETS:
            raise BadAnswer(f"more than {MOST_OCTETS} bytes")
        framing = framing or _framing(received)
    return parse(bytes(received))


def parse(received: bytes) -> Answer:
    """Return the answer in what was received of it. Raises BadAnswer."""
    response = http.client.HTTPResponse(_Received(received))  # type: ignore[arg-type]
    try:
        response.begin()
        return Answer(response.status, response.read())
    except (http.client.HTTPException, ValueError, OverflowError) as error:
        raise BadAnswer(str(error)[:200] or type(error).__name__) from error


def _limit(opened: socket.socket, deadline_s: float) -> None:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    opened.settimeout(left_s)


class _Framing(NamedTuple):
    """How the end of an answer is known; neither way: by the end of the connection."""

    octets: int | None
    is_chunked: bool

    def is_whole(self, received: bytearray) -> bool:
        """Return whether nothing more has to be waited for, as from a server that keeps its connection open."""
        if self.octets is not None:
            return len(received) >= self.octets
        return self.is_chunked and received.endswith(_LAST_CHUNK)


def _framing(received: bytearray) -> _Framing | None:
    """Return how an answer ends, once its head is there."""
    end = received.find(_HEAD_END)
    if end < 0:
        return None
    end += len(_HEAD_END)
    response = http.client.HTTPResponse(_Received(bytes(received[:end])))  # type: ignore[arg-type]
    try:
        response.begin()
    except (http.client.HTTPException, ValueError):
        return _Framing(None, is_chunked=False)
    return _Framing(None if response.length is None else end + response.length, bool(response.chunked))


class _Received:
    """Octets in place of the socket that the standard library would read from."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> io.BytesIO:
        """Return them as a file."""
        del mode
        return io.BytesIO(self._octets)
