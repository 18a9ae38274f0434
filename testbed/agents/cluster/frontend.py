"""The REST API over HTTP: requests into the core's form, its answers back.

Owns the aiohttp server: how much of a body is read, and for how long; who does not wait for an answer. What a request
means, the core says.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from testbed.faas.api.messages import Answer, Request
from testbed.faas.cluster import Cluster
from testbed.runtime.message_errors import MessageErrors

_BODY_WITHIN_S = 60.0
_TRANSACTION_FIELD = "X-Request-Id"
_INSTANCE_FIELD = "X-Dyncast-Instance"  # by which a client that asked an anycast address learns who answered
_CORS = {"Access-Control-Allow-Origin": "*"}


class _TooLargeError(Exception):
    pass


class Observer(Protocol):
    """Who takes note of what was answered."""

    def on_answer(self, request: Request, peer: tuple[str, int], came_s: float, status: int | None) -> None:
        """A request of `peer` (address, port) was answered; `status` is None if its client did not wait."""


class Frontend:
    """Serves a cluster's API at a socket. `perform` carries out what the cluster orders; `name`: what answers say."""

    def __init__(
        self,
        cluster: Cluster,
        perform: Callable[[], None],
        observer: Observer | None = None,
        name: str | None = None,
    ) -> None:
        self._fields = {**_CORS, _INSTANCE_FIELD: name} if name else _CORS
        self._cluster, self._perform, self._observer = cluster, perform, observer
        self._numbers = itertools.count(1)
        self._errors = MessageErrors(Counter())
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True, access_log=None))

    async def serve(self, listening: socket.socket) -> None:
        """Serve at a bound socket."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """Serve no longer; answers that are ready are sent."""
        await self._runner.cleanup()

    def respond(self, number: int, answer: Answer) -> None:
        """Answer a request."""
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(answer)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transaction_id = request.headers.get(_TRANSACTION_FIELD) or secrets.token_hex(16)
        try:
            body = await asyncio.wait_for(self._body(request), _BODY_WITHIN_S)
        except _TooLargeError:
            return self._response(self._cluster.too_large(request.method), transaction_id, is_last=True)
        except asyncio.TimeoutError:
            document = {"error": f"the body did not arrive within {_BODY_WITHIN_S:g} s", "code": transaction_id}
            return self._response(Answer(408, document), transaction_id, is_last=True)
        taken = Request(
            request.method,
            request.rel_url.raw_path,
            dict(request.query),
            request.headers.get("Authorization"),
            body,
            transaction_id,
        )
        came_s, status = time.monotonic(), None
        try:
            answer = await self._answer(taken)
            status = answer.status
        finally:
            if self._observer is not None:
                self._observer.on_answer(taken, _peer(request), came_s, status)
        return self._response(answer, transaction_id)

    async def _answer(self, request: Request) -> Answer:
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._cluster.request(number, request, time.monotonic())
            self._perform()
            return await future
        except asyncio.CancelledError:
            self._cluster.on_client_gone(number)
            raise
        except Exception as error:  # a fault of ours, which ends this request alone
            self._errors.note("request", error)
            return Answer(500, {"error": "the cluster could not handle this request", "code": request.transaction_id})
        finally:
            del self._waiting[number]

    def _response(self, answer: Answer, transaction_id: str, *, is_last: bool = False) -> web.Response:
        fields = {**self._fields, _TRANSACTION_FIELD: transaction_id, **answer.fields}
        response = web.Response(
            status=answer.status, body=answer.body, headers=fields, content_type="application/json", charset="utf-8"
        )
        if is_last:  # what is left of the request is not read
            response.force_close()
        return response

    async def _body(self, request: web.BaseRequest) -> bytes:
        most = self._cluster.most_body_bytes(request.method)
        if (request.content_length or 0) > most:
            raise _TooLargeError
        received = bytearray()
        async for part in request.content.iter_any():
            received += part
            if len(received) > most:
                raise _TooLargeError
        return bytes(received)


def _peer(request: web.BaseRequest) -> tuple[str, int]:
    """Return who asks, by address and port."""
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    return (str(name[0]), int(name[1])) if name else ("", 0)
