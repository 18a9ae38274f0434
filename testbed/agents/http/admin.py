"""The admin port of an instance, at once, whatever the workers do: its L0 metrics, and whether it drains.

A draining instance serves whom it serves, and says that it takes no new flows; D-Routers then send none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from testbed.agents.http.protocol import Request
from testbed.agents.http.server import HttpConnection, Response

METRICS_PATH = "/metrics"
STATE_PATH = "/state/"
STATES = ("up", "draining")


class AdminService:
    """Answer `GET /metrics` with the JSON object that `metrics` returns; `PUT /state/<state>` sets one of STATES."""

    def __init__(self, metrics: Callable[[], Mapping[str, object]], set_state: Callable[[str], None]) -> None:
        self._metrics = metrics
        self._set_state = set_state

    def handle(self, request: Request, connection: HttpConnection) -> None:
        """Answer one request."""
        state = request.path.removeprefix(STATE_PATH)
        if state in STATES and state != request.path:
            if request.method != "PUT":
                connection.respond(Response(405, {"Allow": "PUT"}, b"method not allowed\n"))
                return
            self._set_state(state)
            connection.respond(Response(200, body=f"{state}\n".encode()))
        elif request.path != METRICS_PATH:
            known = ", ".join([METRICS_PATH, *(STATE_PATH + known for known in STATES)])
            connection.respond(Response(404, body=f"there are only {known}\n".encode()))
        elif request.method not in ("GET", "HEAD"):
            connection.respond(Response(405, {"Allow": "GET, HEAD"}, b"method not allowed\n"))
        else:
            body = json.dumps(self._metrics()).encode() + b"\n"
            connection.respond(Response(200, {"Content-Type": "application/json"}, body))
