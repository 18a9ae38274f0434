"""One exchange with a server that says anything, at any pace."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from testbed.agents.http import client
from testbed.agents.http.client import Answer, BadAnswer

Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk) -> Iterator[int]:
    """A server of one connection, which is closed once the client has what it wants."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def saying(answer: bytes, *, keeps_open: bool = False) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(answer)
        if keeps_open:
            connection.recv(1)  # until the client has left

    return talk


_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwe\r\n2\r\nll\r\n0\r\n\r\n"


@pytest.mark.parametrize("keeps_open", [True, False])
@pytest.mark.parametrize("answer", [_BODY, _CHUNKED])
def test_an_answer_is_whole_however_its_server_frames_it(answer: bytes, keeps_open: bool) -> None:
    with server(saying(answer, keeps_open=keeps_open)) as port:
        assert client.get("127.0.0.1", port, "/", 5.0) == Answer(200, b"well")


def test_without_a_length_an_answer_ends_with_its_connection() -> None:
    with server(saying(b"HTTP/1.0 404 Not Found\r\n\r\nwell")) as port:
        assert client.get("127.0.0.1", port, "/", 5.0) == Answer(404, b"well")


def test_a_server_that_sends_an_octet_now_and_then_holds_nobody_up() -> None:
    def drip(connection: socket.socket) -> None:
        for octet in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000):
            connection.sendall(bytes([octet]))
            time.sleep(0.01)

    with server(drip) as port, pytest.raises(TimeoutError):
        client.get("127.0.0.1", port, "/", 0.3)


def test_a_server_that_never_ends_fills_no_memory() -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 16))

    with server(flood) as port, pytest.raises(BadAnswer, match="more than 1048576 bytes"):
        client.get("127.0.0.1", port, "/", 60.0)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwell",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 4000 + b"\r\n\r\nwell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\nwell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwe\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 " + b"2" * 5000 + b"\r\n\r\n",
    ],
    ids=range(8),
)
def test_what_is_no_whole_answer_is_a_bad_one(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        client.parse(answer)
