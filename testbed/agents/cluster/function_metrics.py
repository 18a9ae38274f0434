"""What a cluster says of its functions to whoever steers users to it: the metrics of an instance, one function each.

`GET /metrics/NAME` has the form of an instance's metrics (docs/processes.md), as long as the cluster holds the function
or has something of it to do; then 404. Owns the admin port of a cluster. It changes nothing.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from socket import socket
from urllib.parse import quote, unquote

from testbed.agents.http.admin import METRICS_PATH
from testbed.agents.http.protocol import Request
from testbed.agents.http.server import HttpConnection, HttpServer, Response
from testbed.faas.cluster import Cluster
from testbed.faas.function_load import FunctionLoad
from testbed.faas.limits import MIB
from testbed.runtime.message_errors import MessageErrors

_PREFIX = f"{METRICS_PATH}/"
_LISTEN = 64
_MOST_ASKED = 1024  # names of which it is kept when they were asked for last


def path_of(function: str) -> str:
    """Return where the metrics of a function are."""
    return f"{_PREFIX}{quote(function, safe='')}"


class BusyTime:
    """How long containers worked, all together; whoever asks gets their share since it asked last."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._busy = 0
        self._busy_s = 0.0
        self._begin_s = now_s
        self._asked: dict[str, tuple[float, float]] = {}

    def note(self, busy: int, now_s: float) -> None:
        """Take note of how many work from now on."""
        self._busy_s += self._busy * (now_s - self._since_s)
        self._busy, self._since_s = busy, now_s

    def share(self, name: str, containers: int, now_s: float) -> float:
        """Return which share of so many containers worked since it was asked for this name."""
        self.note(self._busy, now_s)
        before_s, before_busy_s = self._asked.get(name, (self._begin_s, 0.0))
        if name in self._asked or len(self._asked) < _MOST_ASKED:
            self._asked[name] = now_s, self._busy_s
        length_s = (now_s - before_s) * containers
        return min(1.0, (self._busy_s - before_busy_s) / length_s) if length_s > 0 else 0.0


class FunctionMetrics:
    """The metrics of a cluster's functions, from `serve` to `close`."""

    def __init__(self, name: str, core: Cluster) -> None:
        self._name, self._core = name, core
        self._busy = BusyTime(time.monotonic())
        self._server = HttpServer(self._handle, errors=MessageErrors(Counter()))

    async def serve(self, listening: socket) -> None:
        """Serve at a bound socket."""
        listening.setblocking(False)
        listening.listen(_LISTEN)
        await self._server.serve(listening)

    async def close(self) -> None:
        """Serve no longer."""
        await self._server.close()

    def note_load(self) -> None:
        """Take note that the load may have changed."""
        self._busy.note(self._core.load[0], time.monotonic())

    def _handle(self, request: Request, connection: HttpConnection) -> None:
        self._server.close_idle(time.monotonic())
        connection.respond(self._response(request))

    def _response(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD"}, b"method not allowed\n")
        function = unquote(request.path.removeprefix(_PREFIX)) if request.path.startswith(_PREFIX) else ""
        load = self._core.function_load(function) if function else None
        if load is None:
            return Response(404, body=f"there is only {_PREFIX}NAME of a function that is held here\n".encode())
        body = json.dumps(self._figures(function, load)).encode() + b"\n"
        return Response(200, {"Content-Type": "application/json"}, body)

    def _figures(self, function: str, load: FunctionLoad) -> dict[str, object]:
        run_s, usage = load.run_s or 0.0, self._core.usage()
        return {
            "instance": self._name,
            "service": function,
            "state": "up" if load.is_held else "draining",
            "workers": load.containers,
            "busy_workers": load.busy,
            "queue_length": load.waiting,
            "queue_limit": load.queue,
            "sessions": load.in_flight,
            "sessions_started": load.begun,
            "utilisation": round(self._busy.share(function, load.containers, time.monotonic()), 6),
            "service_time_ms": round(run_s * 1e3, 6),
            "cpu_utilisation": 0.0,
            "memory_bytes": usage.busy_memory_mb * MIB,
            "memory_limit_bytes": self._core.settings.pool.memory_mb * MIB,
            "capacity_per_s": round(load.containers / run_s, 6) if run_s else 0,
            "throughput_bps": 0,
        }
