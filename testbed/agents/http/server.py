"""Connections that speak HTTP/1.1: one request at a time each, hundreds side by side.

Owns the socket side of `protocol`: reading with back-pressure, answers in the order of the requests,
keep-alive and its time limit, and what the kernel counted of each connection. Knows nothing of jobs: a
handler takes a request and answers whenever it is ready.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, TCP_INFO, TCP_NODELAY, socket
from typing import cast

from testbed.agents.host.addresses import plain_address
from testbed.agents.host.flow_ledger import FlowKey, FlowTally
from testbed.agents.http.protocol import CONTINUE, HttpError, Request, RequestParser, response_head
from testbed.runtime.message_errors import MessageErrors

KEEP_ALIVE_S = 75.0
_LINGER_S = 1.0
_PAUSE_READING_BYTES = 256 * 1024
# struct tcp_info of linux/tcp.h: tcpi_bytes_received and tcpi_segs_in, both since Linux 4.2
_TCP_INFO_BYTES_RECEIVED = struct.Struct("=128xQ4xI")


@dataclass(frozen=True)
class Response:
    """An answer. The body is `body` over and over, cut at `body_bytes` (None: once, whole)."""

    status: int
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    body_bytes: int | None = None

    @property
    def length(self) -> int:
        """The length of the body, in bytes."""
        return len(self.body) if self.body_bytes is None or not self.body else self.body_bytes


class HttpConnection(asyncio.Protocol):
    """One connection. `handle(request, connection)` must lead to one call of `connection.respond`."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport
        self._parser = RequestParser()
        self._request: Request | None = None  # the one that awaits its answer
        self._unsent = 0  # bytes of the present body still to write
        self._filler = b""
        self._is_writable = True
        self._is_reading = True
        self._at_eof = False
        self._closes_after_body = False
        self._is_refused = False
        self._opened_s = self.received_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: note the flow key."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._key = FlowKey("tcp", plain_address(peer[0]), peer[1], plain_address(local[0]), local[1])
        self._opened_s = self.received_s = self._server.loop.time()
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End: report the flow as the kernel counted it."""
        del error
        self._server.connections.discard(self)
        try:
            info = self._transport.get_extra_info("socket").getsockopt(IPPROTO_TCP, TCP_INFO, 256)
            received, segments = _TCP_INFO_BYTES_RECEIVED.unpack_from(info)
        except (OSError, struct.error):
            received = segments = 0
        self._server.flow_ended(self._key, FlowTally(self._opened_s, self.received_s, segments, received))

    @property
    def _is_busy(self) -> bool:
        return self._request is not None or self._unsent > 0

    @property
    def is_gone(self) -> bool:
        """Return whether the client has left, so that nobody will read an answer."""
        return self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """Take in bytes."""
        self.received_s = self._server.loop.time()
        if self._is_refused:
            return
        self._parser.feed(data)
        self._proceed()
        if self._is_reading and self._parser.buffered_bytes > _PAUSE_READING_BYTES:
            self._is_reading = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open while an answer is due on it."""
        self._at_eof = True
        self._proceed()
        return self._is_busy

    def respond(self, response: Response) -> None:
        """Answer the request in hand; nothing happens if the client has left."""
        request, self._request = self._request, None
        if request is None or self._transport.is_closing():
            return
        length = response.length
        keep_alive = request.keep_alive and not (self._at_eof and self._parser.is_idle)
        self._closes_after_body = not keep_alive
        head = response_head(response.status, response.fields, length, keep_alive=keep_alive)
        self._filler, self._unsent = response.body, 0 if request.method == "HEAD" else length
        first = self._take_body()
        self._transport.write(head + first)
        self._send_body()

    def pause_writing(self) -> None:
        """Wait for a slow reader."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Go on with the body."""
        self._is_writable = True
        if self._unsent:
            self._send_body()

    def close_if_idle_since(self, time_s: float) -> None:
        """End a connection that stands between requests (or never sent a whole one) since `time_s`."""
        if not self._is_busy and self.received_s < time_s:
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    def _proceed(self) -> None:
        try:
            self._serve()
        except Exception as error:
            self._server.errors.note("http_request", error)
            self.abort()

    def _serve(self) -> None:
        """Hand the next request to the handler, unless one is in hand: answers go out in order."""
        while not self._is_busy and not self._is_refused and not self._transport.is_closing():
            try:
                self._request = self._parser.next_request()
            except HttpError as error:
                self._refuse(error)
                return
            if self._request is not None:
                self._server.handle(self._request, self)
            elif self._at_eof:
                self._transport.close()
            else:
                if self._parser.wants_continue:
                    self._parser.wants_continue = False
                    self._transport.write(CONTINUE)
                return

    def _refuse(self, error: HttpError) -> None:
        """Answer what was no request, and end the connection so that the client can read the answer.

        Closing with bytes unread would reset the connection and take the answer with it: so send the end
        of ours first, and throw away what still comes for a moment.
        """
        self._server.bad_request()
        self._is_refused = True
        body = f"{error}\n".encode()
        self._transport.write(response_head(error.status, {}, len(body), keep_alive=False) + body)
        if self._at_eof:
            self._transport.close()
            return
        self._transport.write_eof()
        self._server.loop.call_later(_LINGER_S, self._transport.close)

    def _send_body(self) -> None:
        while self._unsent and self._is_writable and not self._transport.is_closing():
            self._transport.write(self._take_body())
        if self._unsent:
            return
        if self._closes_after_body:
            self._transport.close()
            return
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()
        if not self._parser.is_idle:
            # A turn of the loop in between: pipelined requests must not starve the other connections.
            self._server.loop.call_soon(self._proceed)

    def _take_body(self) -> bytes:
        part = self._filler[: self._unsent] if self._unsent < len(self._filler) else self._filler
        self._unsent -= len(part)
        return part


Handler = Callable[[Request, HttpConnection], None]


class HttpServer:
    """Serve HTTP on one socket.

    `handle` gets every good request; `flow_ended` each connection's key and tally; `bad_request` is called
    for each request that was none; `errors` has those that could not be handled.
    """

    def __init__(
        self,
        handle: Handler,
        flow_ended: Callable[[FlowKey, FlowTally], None] = lambda _key, _tally: None,
        bad_request: Callable[[], None] = lambda: None,
        errors: MessageErrors | None = None,
    ) -> None:
        self.handle = handle
        self.flow_ended = flow_ended
        self.bad_request = bad_request
        self.errors = errors or MessageErrors(Counter())
        self.connections: set[HttpConnection] = set()
        self.loop = asyncio.get_running_loop()
        self._server: asyncio.AbstractServer | None = None

    async def serve(self, listening: socket) -> None:
        """Accept connections on a listening socket, which is the server's from now on."""
        self._server = await self.loop.create_server(lambda: HttpConnection(self), sock=listening)

    def close_idle(self, now_s: float) -> None:
        """End connections that have been silent for longer than the keep-alive time."""
        for connection in tuple(self.connections):
            connection.close_if_idle_since(now_s - KEEP_ALIVE_S)

    async def close(self) -> None:
        """Stop accepting, end every connection, and let each report its flow."""
        if self._server:
            self._server.close()
        for connection in tuple(self.connections):
            connection.abort()
        while self.connections:  # connection_lost comes in the loop's next turns
            await asyncio.sleep(0)
