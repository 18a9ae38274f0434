"""Requests of HTTP into the pure service's form, and its answers back.

Owns what HTTP costs: bounded bodies and times, the queue and its overload answer, authentication, compression, and that
a client that reads slowly holds up itself alone: large answers go out in pieces, of which it must take one in time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from aiohttp import web

from testbed.agents.alto_server.authentication import Authentication
from testbed.agents.alto_server.change_times import ChangeTimes
from testbed.agents.alto_server.compression import LEAST_OCTETS, Compression, takes_gzip
from testbed.agents.alto_server.exchanges import Exchange, Note, unnoted
from testbed.agents.alto_server.limits import Limits
from testbed.agents.alto_server.update_streams import UpdateFrontend
from testbed.agents.http.connections import BoundedServer, Watch, watched
from testbed.alto.service.exchange import Answer, Request, overloaded, plain
from testbed.alto.service.service import Service
from testbed.alto.updates.served_streams import Reply

_PIECE_OCTETS = 1 << 18
_OF_CONTENT = (200, 304)


class _TooLargeError(Exception):
    pass


class Frontend:
    """Answers the requests of all connections; `server` is what listens."""

    def __init__(
        self,
        service: Service,
        limits: Limits,
        authentication: Authentication | None = None,
        updates: UpdateFrontend | None = None,
        note: Note = unnoted,
    ) -> None:
        self._service, self._limits, self._note = service, limits, note
        self._authentication, self._updates = authentication, updates
        self._compression = Compression()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.counts: Counter[str] = Counter()
        self.change_times = ChangeTimes(time.time())
        self.server = BoundedServer(self._handle, limits)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler, transport = request.protocol, request.transport
        self.server.busy(handler)
        try:
            return await self._answered(request)
        except ConnectionError:  # its client has gone
            self.counts["not taken"] += 1
            return web.Response(status=400)
        finally:
            if transport is not None and not transport.is_closing():
                self.server.idle(handler, transport)

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        self.counts["requests"] += 1
        refused = self._unknown(request)
        if refused is not None:
            return await self._send(request, refused)
        try:
            body = (
                await asyncio.wait_for(self._body(request), self._limits.body_within_s) if request.body_exists else b""
            )
        except _TooLargeError:
            text = f"a request has {self._limits.body_octets} octets at most"
            return await self._send(request, plain(413, text), is_last=True)
        except asyncio.TimeoutError:
            text = f"the body did not arrive within {self._limits.body_within_s:g} s"
            return await self._send(request, plain(408, text), is_last=True)
        except web.RequestPayloadError:
            return await self._send(request, plain(400, "the body is cut off, or not in its encoding"), is_last=True)
        method = (
            "GET" if request.method == "HEAD" else request.method
        )  # the length is that of the body, which is not sent
        asked = Request(method, request.rel_url.raw_path, request.headers, body, request.remote)
        reply = await self._in_turn(asked)
        if reply.stream_id is not None and self._updates is not None:
            return await self._updates.send(reply.stream_id, reply.answer, request)
        return await self._send(request, reply.answer)

    def _unknown(self, request: web.BaseRequest) -> web.Response | None:
        """Return the answer to a client that does not show who it is."""
        if self._authentication is None:
            return None
        authorization = request.headers.get("Authorization")
        verdict = self._authentication.check(authorization, request.method, request.raw_path, time.time())
        if verdict.is_good:
            return None
        self.counts["not authenticated"] += 1
        refused = web.Response(status=401, text="this server is for its users: name and password are needed\n")
        for challenge in verdict.challenges:
            refused.headers.add("WWW-Authenticate", challenge)
        return refused

    async def _body(self, request: web.BaseRequest) -> bytes:
        most = self._limits.body_octets
        if (request.content_length or 0) > most:
            raise _TooLargeError
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        received = bytearray()
        async for part in request.content.iter_any():
            received += part
            if len(received) > most:
                raise _TooLargeError
        return bytes(received)

    async def _in_turn(self, asked: Request) -> Reply:
        """Return an answer when it is its turn. Others are read meanwhile, so that it is seen when too many wait."""
        if self._waiting >= self._limits.waiting:
            self.counts["overloaded"] += 1
            return Reply(overloaded(self._limits.retry_after_s))
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(0)
                reply = None if self._updates is None else self._updates.answer(asked)
                return reply or Reply(self._service.answer(asked))
        finally:
            self._waiting -= 1

    # -- sending

    async def _send(
        self, request: web.BaseRequest, answer: Answer | web.Response, *, is_last: bool = False
    ) -> web.StreamResponse:
        response = await self._sent(request, answer, is_last)
        octets = 0 if request.method == "HEAD" else response.content_length or 0
        self._note(Exchange("request", request.remote or "", request.path, response.status, octets))
        return response

    async def _sent(self, request: web.BaseRequest, answer: Answer | web.Response, is_last: bool) -> web.StreamResponse:
        response = answer if isinstance(answer, web.Response) else await self._response(request, answer)
        if is_last:  # what is left of the request is not read
            response.force_close()
        body = response.body if isinstance(response.body, bytes) else b""
        with watched(request, self._limits.stalled_s) as taken:
            if request.method == "HEAD" or len(body) <= _PIECE_OCTETS:
                await response.prepare(request)
                await response.write_eof()
                return response
            return await _in_pieces(request, response, body, taken)

    async def _response(self, request: web.BaseRequest, answer: Answer) -> web.Response:
        headers, body = dict(answer.headers), answer.body
        if answer.status in _OF_CONTENT:
            headers["Last-Modified"] = self.change_times.header(request.path, headers.get("ETag"))
        if len(body) >= LEAST_OCTETS and answer.status == 200:
            headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Accept-Encoding")))
            if takes_gzip(request.headers.get("Accept-Encoding")):
                tag = headers.get("ETag")
                body = await self._compression.compressed(body, None if tag is None else (request.path, tag))
                headers["Content-Encoding"] = "gzip"
                if tag is not None:  # other octets of the same content
                    headers["ETag"] = f"W/{tag}"
        return web.Response(status=answer.status, headers=headers, body=body)


async def _in_pieces(request: web.BaseRequest, whole: web.Response, body: bytes, watch: Watch) -> web.StreamResponse:
    """Send a large body so that no more of it waits in memory than a piece."""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    if whole.keep_alive is False:
        response.force_close()
    await response.prepare(request)
    view = memoryview(body)
    for first in range(0, len(view), _PIECE_OCTETS):
        await response.write(view[first : first + _PIECE_OCTETS])
        watch.again()
    await response.write_eof()
    return response
