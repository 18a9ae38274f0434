"""The HTTP service of an instance: each request is a job for its workers.

Owns what a request means (`?work_ms=`, `?bytes=`) and what its answer says (`X-Dyncast-*`). The job of a
client that leaves is done all the same, as it would be on a real server, and counted as abandoned.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from urllib.parse import parse_qsl

from testbed.agents.http.protocol import Request
from testbed.agents.http.server import HttpConnection, Response
from testbed.agents.instance.processor import Processor
from testbed.errors import TestbedError
from testbed.queueing.work_queue import Accepted

MAX_WORK_MS = 3_600_000.0
MAX_RESPONSE_BYTES = 1 << 30
_FILLER_BYTES = 64 * 1024
_METHODS = ("GET", "HEAD", "POST")


class BadQuery(TestbedError, ValueError):
    """A query whose value cannot be used."""


class HttpService:
    """Turn requests into jobs and finished jobs into answers."""

    def __init__(self, name: str, processor: Processor, draw_work_s: Callable[[], float]) -> None:
        self._name = name
        self._processor = processor
        self._draw_work_s = draw_work_s
        self._now_s = asyncio.get_running_loop().time
        self._line = f"{name}\n".encode()
        self._filler = self._line * (_FILLER_BYTES // len(self._line) + 1)
        self.jobs_in_system = 0
        self.jobs_started = 0
        self.abandoned = 0  # answers nobody was there to read
        self.bad_requests = 0

    def count_bad_request(self) -> None:
        """Count a request that was not HTTP or asked for something impossible."""
        self.bad_requests += 1

    def handle(self, request: Request, connection: HttpConnection) -> None:
        """Queue the request's work; answer 200 when it is done, 503 at once if the queue is full."""
        fields = {"X-Dyncast-Instance": self._name}
        if request.method not in _METHODS:
            self.count_bad_request()
            connection.respond(Response(405, {**fields, "Allow": ", ".join(_METHODS)}, b"method not allowed\n"))
            return
        try:
            work_s, body_bytes = self._read(request.query)
        except BadQuery as error:
            self.count_bad_request()
            connection.respond(Response(400, fields, f"{error}\n".encode()))
            return
        arrived_s = self._now_s()

        def finish(job: Accepted) -> None:
            self.jobs_in_system -= 1
            if connection.is_gone:
                self.abandoned += 1
                return
            fields["X-Dyncast-Service-Ms"] = f"{(job.finish_s - job.start_s) * 1e3:.3f}"
            fields["X-Dyncast-Wait-Ms"] = f"{max(0.0, job.start_s - arrived_s) * 1e3:.3f}"
            body = self._line if body_bytes is None else self._filler
            connection.respond(Response(200, fields, body, body_bytes))

        if self._processor.submit(work_s, finish):
            self.jobs_in_system += 1
            self.jobs_started += 1
        else:
            connection.respond(Response(503, fields, b"the queue is full\n"))

    def _read(self, query: str) -> tuple[float, int | None]:
        """Return the work in seconds at speed 1 and the length of the answer (None: a line)."""
        try:
            asked = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=20)) if query else {}
        except ValueError as error:
            raise BadQuery(str(error)) from error
        work_s = _number(asked, "work_ms", MAX_WORK_MS) / 1e3 if "work_ms" in asked else self._draw_work_s()
        body_bytes = int(_number(asked, "bytes", MAX_RESPONSE_BYTES)) if "bytes" in asked else None
        return work_s, body_bytes


def _number(asked: dict[str, str], key: str, most: float) -> float:
    try:
        value = float(asked[key])
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise BadQuery(f"{key} must be a number in 0..{most:g}, not {asked[key]!r}")
    return value
