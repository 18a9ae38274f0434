"""Users' requests to a cluster client over HTTP, and its answers: where to go, or that it cannot be.

    POST /api/v1/namespaces/_/actions/NAME[?…]   307 to the cluster that was chosen, or to where the network steers to
                                                 one, with the same path and query
    GET  /                                       what this is, and what is where

Answers have the form of the clusters' API, so a client of theirs understands them. The body of a request is not read:
it goes to the cluster. Owns who waits for an answer, and who does not wait any longer.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from aiohttp import web

from testbed.agents.host.addresses import plain_address
from testbed.agents.http.connections import BoundedServer, ConnectionLimits
from testbed.agents.http.json_answers import json_answer
from testbed.faas.cluster_client.actions import Reason, Refuse
from testbed.runtime.message_errors import MessageErrors

_TRANSACTION_FIELD = "X-Request-Id"
_CONNECTIONS = 4096
_STATUS = {
    Reason.UNKNOWN_FUNCTION: 404,
    Reason.NO_CLUSTER: 503,
    Reason.NOT_IN_TIME: 503,
    Reason.TOO_MANY: 429,
    Reason.STOPPED: 503,
}


class Core(Protocol):
    """What requests are handed to."""

    def on_request(self, request: int, function: str, address: str) -> None:
        """A user asks for a function."""

    def on_client_gone(self, request: int) -> None:
        """It waits no longer."""

    def state(self) -> Mapping[str, Any]:
        """What is where."""


class _Target(NamedTuple):
    base: str
    kept_s: int | None


class Frontend:
    """Serves users; `server` is what listens."""

    def __init__(self, core: Core, counters: Counter[str]) -> None:
        self._core = core
        self._errors = MessageErrors(counters)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[_Target | Refuse]] = {}
        self.server = BoundedServer(self._handle, ConnectionLimits(connections=_CONNECTIONS))

    def redirect(self, request: int, base: str, kept_s: int | None = None) -> None:
        """Send a user to a cluster, by the URL of its API; `kept_s`: it may keep that for so long (RFC 9111)."""
        self._settle(request, _Target(base, kept_s))

    def refuse(self, refusal: Refuse) -> None:
        """Answer a user that it cannot be."""
        self._settle(refusal.request, refusal)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transaction_id = request.headers.get(_TRANSACTION_FIELD) or secrets.token_hex(16)
        with self.server.answering(request):
            try:
                return await self._answer(request, transaction_id)
            except ConnectionError:  # its client has gone
                return web.Response(status=400)
            except Exception as error:  # a fault of ours, which ends this request alone
                self._errors.note("request", error)
                return _error(500, "the cluster client could not handle this request", transaction_id)

    async def _answer(self, request: web.BaseRequest, transaction_id: str) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path == "/":
            description = "a cluster client: POST /api/v1/namespaces/_/actions/NAME goes to a cluster that holds NAME"
            return json_answer(200, {"description": description, **self._core.state()})
        match path.strip("/").split("/"):
            case ["api", "v1", "namespaces", _, "actions", name]:
                if request.method != "POST":
                    text = f"{request.method[:20]} is not allowed here: actions are invoked, and made at clusters"
                    return _error(405, text, transaction_id, {"Allow": "POST"})
                return await self._invoke(request, unquote(name), transaction_id)
        text = f"there is nothing at {path[:200]!r}: actions are invoked here, and nothing else"
        return _error(404, text, transaction_id)

    async def _invoke(self, request: web.BaseRequest, name: str, transaction_id: str) -> web.StreamResponse:
        number = next(self._numbers)
        future: asyncio.Future[_Target | Refuse] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._core.on_request(number, name, plain_address(request.remote or ""))
            settled = await future
        except asyncio.CancelledError:
            self._core.on_client_gone(number)
            raise
        finally:
            del self._waiting[number]
        if isinstance(settled, Refuse):
            fields = {} if settled.retry_after_s is None else {"Retry-After": str(math.ceil(settled.retry_after_s))}
            return _error(_STATUS[settled.reason], settled.detail, transaction_id, fields)
        location = f"{settled.base.rstrip('/')}{request.rel_url.raw_path_qs}"
        fields = {"Location": location, _TRANSACTION_FIELD: transaction_id}
        if settled.kept_s is not None:
            fields["Cache-Control"] = f"max-age={settled.kept_s}"
        return json_answer(307, {"location": location, "code": transaction_id}, fields)

    def _settle(self, request: int, settled: _Target | Refuse) -> None:
        future = self._waiting.get(request)
        if future is not None and not future.done():
            future.set_result(settled)


def _error(status: int, text: str, transaction_id: str, fields: Mapping[str, str] = {}) -> web.Response:
    return json_answer(status, {"error": text, "code": transaction_id}, {_TRANSACTION_FIELD: transaction_id, **fields})
