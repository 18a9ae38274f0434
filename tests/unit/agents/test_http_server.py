"""An HTTP server whose handler fails: the request's connection ends, and the next one is served."""

from __future__ import annotations

import asyncio
from collections import Counter
from socket import SOCK_STREAM, socket

from testbed.agents.http.protocol import Request
from testbed.agents.http.server import HttpConnection, HttpServer, Response
from testbed.runtime.message_errors import MessageErrors


def _handle(request: Request, connection: HttpConnection) -> None:
    if request.path == "/seeded":
        raise KeyError(request.path)
    connection.respond(Response(200, body=b"well\n"))


async def _answer(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_an_error_in_one_request_ends_neither_the_server_nor_other_connections() -> None:
    said: list[str] = []

    async def ask() -> tuple[list[bytes], dict[str, int]]:
        errors = MessageErrors(Counter(), said.append)
        server = HttpServer(_handle, errors=errors)
        with socket(type=SOCK_STREAM) as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            await server.serve(listening)
            answers = [await _answer(port, path) for path in ("/seeded", "/seeded", "/")]
            await server.close()
        return answers, dict(errors.counters)

    answers, counted = asyncio.run(ask())
    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"", b"", b"HTTP/1.1 200 OK"]
    assert counted == {"unhandled_http_request": 2}
    assert len(said) == 1
