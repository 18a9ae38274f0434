"""The admin port of an instance: its L0 metrics, at once, whatever the workers do. It changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from testbed.agents.http.protocol import Request
from testbed.agents.http.server import HttpConnection, Response

METRICS_PATH = "/metrics"


class AdminService:
    """Answer `GET /metrics` with the JSON object that `metrics` returns."""

    def __init__(self, metrics: Callable[[], Mapping[str, object]]) -> None:
        self._metrics = metrics

    def handle(self, request: Request, connection: HttpConnection) -> None:
        """Answer one request."""
        if request.path != METRICS_PATH:
            connection.respond(Response(404, body=f"there is only {METRICS_PATH}\n".encode()))
        elif request.method not in ("GET", "HEAD"):
            connection.respond(Response(405, {"Allow": "GET, HEAD"}, b"method not allowed\n"))
        else:
            body = json.dumps(self._metrics()).encode() + b"\n"
            connection.respond(Response(200, {"Content-Type": "application/json"}, body))
