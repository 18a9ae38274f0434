"""What a cluster client asks of an ALTO client, over HTTP (steps 2 and 3 of the draft's figure 2).

    GET /                                       what this is, and what is known
    GET /clusters?address=A[&function=D]…       the clusters for users at an address; functions by digest, all if none

Owns what a request means; the list itself is `cluster_list`'s.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

from aiohttp import web

from testbed.agents.alto_client import cluster_list
from testbed.agents.alto_client.cluster_list import Known
from testbed.agents.host.addresses import plain_address
from testbed.agents.http.connections import BoundedServer, ConnectionLimits
from testbed.agents.http.json_answers import json_answer
from testbed.net.addresses import Address
from testbed.runtime.message_errors import MessageErrors

Note = Callable[[str, web.Response, float], None]


class Frontend:
    """Answers from what is known; `note` takes the client, its answer and when its request came."""

    def __init__(self, known: Known, repository: Address | None, counters: Counter[str], note: Note) -> None:
        self._known, self._repository, self._note = known, repository, note
        self._errors = MessageErrors(counters)
        self.server = BoundedServer(self._handle, ConnectionLimits())

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        came_s = time.monotonic()
        with self.server.answering(request):
            try:
                answer = self._answer(request)
            except Exception as error:  # a fault of ours, which ends this request alone
                self._errors.note("clusters", error)
                answer = json_answer(500, {"error": "the ALTO client could not handle this request"})
            self._note(plain_address(request.remote or ""), answer, came_s)
            return answer

    def _answer(self, request: web.BaseRequest) -> web.Response:
        path, now_s = request.rel_url.path, time.monotonic()
        if request.method != "GET":
            return json_answer(405, {"error": "there is only GET here"}, {"Allow": "GET"})
        if path == "/":
            description = "an ALTO client: /clusters?address=ADDRESS has the clusters for users at an address"
            return json_answer(200, {"description": description, "age_s": self._known.age_s(now_s)})
        if path != "/clusters":
            return json_answer(404, {"error": f"there is nothing at {path[:200]!r}; there is /clusters"})
        text = request.rel_url.query.get("address", plain_address(request.remote or ""))
        try:
            address = ip_address(text)
        except ValueError:
            return json_answer(400, {"error": f"address must be an IP address, not {text[:100]!r}"})
        if self._known.network is None:
            return json_answer(503, {"error": "the ALTO server has said nothing yet"}, {"Retry-After": "1"})
        functions = frozenset(request.rel_url.query.getall("function", []))
        return json_answer(200, cluster_list.document(self._known, address, self._repository, functions, now_s))
