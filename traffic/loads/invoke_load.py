"""Open-loop invocations of a function: each at its due time, on a TCP connection and source port of its own.

Owns the client of HTTP (aiohttp), redirects (307), and what of an answer's parts is written down. An invocation never
waits for an earlier one. It counts from when it was due, so what the client itself is late is in the response time.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from traffic.arrivals.due_arrivals import DueArrivals
from traffic.arrivals.schedule import Schedule
from traffic.content import invocation
from traffic.content.invocation import Activation
from traffic.flow_log import FlowLog, Outcome
from traffic.loads import http_outcomes
from traffic.sockets import LocalLimitError, SocketSource
from traffic.workloads import InvokeWorkload

_MOST_ANSWER_BYTES = 1 << 24
_TOO_MANY = 429
_ACCEPTED = 202  # a blocking invocation that the cluster waits for no longer
_REDIRECTS = (307, 308)  # with the same method and body
_NOT_FOUND = 404
_INSTANCE_FIELD = "X-Dyncast-Instance"  # who answered, where many share an address


class _Answer(NamedTuple):
    status: int
    location: str | None
    kept_s: float
    instance: str | None
    body: bytes


class _AnswerTooLongError(Exception):
    pass


class InvokeLoad:
    """Begins the invocations of one workload as they come due."""

    def __init__(
        self,
        workload: InvokeWorkload,
        log: FlowLog,
        sockets: SocketSource,
        schedule: Schedule,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.workload = workload
        self.log = log
        self.open_invocations: dict[_Invocation, asyncio.Task[None]] = {}
        self.url = invocation.url(*(workload.asked_first or (workload.d_sid, workload.port)), workload.service)
        self._kept: tuple[str, float] | None = None
        self._sockets = sockets
        self._loop = loop
        self._due_arrivals = DueArrivals(workload.arrivals, schedule, self._begin)
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_on_connected)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=self._socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=invocation.fields(workload.auth),
            trace_configs=[tracing],
        )

    def begin(self, start_s: float) -> None:
        """Put the first arrival on the schedule; offsets count from `start_s`."""
        self._due_arrivals.begin(start_s)

    def body(self, number: int) -> bytes:
        """Return what an invocation carries."""
        workload = self.workload
        body = workload.bodies[number % len(workload.bodies)]
        amount = workload.arrivals[number].amount
        if workload.amount_parameter is None or amount is None:
            return body
        return invocation.with_parameter(body, workload.amount_parameter, amount)

    def interrupt(self, now_s: float) -> None:
        """Record the invocations that are due by now and have not ended."""
        for number, due_s in self._due_arrivals.due(now_s):
            self.log.accuracy.due(due_s)
            _Invocation(self, number, due_s).end(Outcome.INTERRUPTED, now_s)
        for opened in list(self.open_invocations):
            opened.end(Outcome.INTERRUPTED, now_s)

    async def close(self) -> None:
        """Let go of what is still open."""
        tasks = list(self.open_invocations.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.session.close()

    def name_at(self, url: str) -> str | None:
        """Return what is at a URL is called; where many share an address, as at a D-SID, that address."""
        host = urlsplit(url).hostname
        return None if host is None else self.workload.names.get(host, host)

    def kept_url(self, now_s: float) -> str | None:
        """Return where an answer said to go that may still be kept (RFC 9111)."""
        return self._kept[0] if self._kept is not None and now_s < self._kept[1] else None

    def keep(self, url: str, until_s: float) -> None:
        """Go there until then."""
        self._kept = url, until_s

    def forget(self, url: str) -> None:
        """Go there no more: what was to be there is not."""
        if self._kept is not None and self._kept[0] == url:
            self._kept = None

    def released(self, count: int) -> None:
        """Take note that so many sockets were closed."""
        for _ in range(count):
            self._sockets.note_closed()

    def _begin(self, number: int, due_s: float) -> None:
        self.log.accuracy.due(due_s)
        begun = _Invocation(self, number, due_s)
        task = self._loop.create_task(begun.run())
        self.open_invocations[begun] = task
        task.add_done_callback(lambda _: self.open_invocations.pop(begun))

    def _socket(self, address: Any) -> socket.socket:
        version = 6 if address[0] == socket.AF_INET6 else 4
        opened, port = self._sockets.open(socket.SOCK_STREAM, version)
        _CURRENT.get().on_socket(port)
        return opened


class _Invocation:
    """One invocation, from its due time to its rows."""

    def __init__(self, load: InvokeLoad, number: int, due_s: float) -> None:
        self._load = load
        self._number = number
        self._due_s = due_s
        self._url = self._asked_url = load.url
        self._is_by_kept = False
        self._answered_by: str | None = None
        self._body = load.body(number)
        self._started_s: float | None = None
        self._connected_s: float | None = None
        self._redirected_s: float | None = None
        self._redirects = 0
        self._port: int | None = None
        self._open_sockets = 0
        self._sent_bytes = self._received_bytes = 0
        self._status: int | None = None
        self._activation = Activation()
        self._has_ended = False

    async def run(self) -> None:
        """Ask, follow redirects, and write down what became of it."""
        _CURRENT.set(self)
        try:
            outcome = await self._carry_out()
        except LocalLimitError:
            outcome = Outcome.LOCAL_LIMIT
        except asyncio.TimeoutError:
            outcome = Outcome.TIMEOUT
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            outcome = Outcome.RESET
        except OSError as error:  # aiohttp's errors of sockets are, too
            outcome = http_outcomes.of_error(error)
        except Exception as error:  # an answer that is no HTTP, or a fault of ours, which ends this one alone
            self._load.log.errors.note("invocation", error)
            outcome = Outcome.ERROR
        if outcome is Outcome.UNREACHABLE:
            self._load.log.counts["unreachable_errors"] += 1
        self.end(outcome, time.monotonic())

    def on_socket(self, port: int) -> None:
        """A connection begins, from that port."""
        self._port = port
        self._open_sockets += 1

    def on_connected(self) -> None:
        """A connection is there."""
        if self._connected_s is None:
            self._connected_s = time.monotonic()

    async def _carry_out(self) -> Outcome:
        self._started_s = time.monotonic()
        self._load.log.accuracy.sent(self._due_s, self._started_s)
        kept = self._load.kept_url(self._started_s)
        if kept is not None:
            self._url, self._asked_url, self._is_by_kept = kept, kept, True
        while True:
            answer = await self._answer()
            if answer is None:
                continue
            self._status, self._answered_by = answer.status, answer.instance
            if answer.status not in _REDIRECTS:
                break
            target = _target(answer.location)
            if target is None or self._redirects >= self._load.workload.most_redirects:
                return Outcome.ERROR
            self._redirects += 1
            self._redirected_s, self._url = time.monotonic(), target
            if answer.kept_s > 0:
                self._load.keep(target, self._redirected_s + answer.kept_s)
        self._activation = invocation.read(answer.body)
        return _outcome(answer.status)

    async def _answer(self) -> _Answer | None:
        """Ask; None: what was kept is of no use any more, so whoever said it is to be asked again."""
        try:
            answer = await self._ask()
        except aiohttp.ClientConnectorError:  # nobody has received it
            self._load.forget(self._url)
            if not self._is_by_kept:
                raise
        else:
            if not (self._is_by_kept and answer.status == _NOT_FOUND):
                return answer
            self._load.forget(self._url)
        self._url, self._is_by_kept = self._load.url, False
        return None

    async def _ask(self) -> _Answer:
        assert self._started_s is not None
        left_s = self._started_s + self._load.workload.timeout_s - time.monotonic()
        if left_s <= 0:
            raise asyncio.TimeoutError
        limit = aiohttp.ClientTimeout(total=left_s, ceil_threshold=math.inf)
        is_to_be_sent_on = self._load.workload.is_redirected and not self._redirects and not self._is_by_kept
        post = self._load.session.post(
            self._url,
            data=self._body,
            timeout=limit,
            allow_redirects=False,
            expect100=is_to_be_sent_on,  # the parameters would go to who does not want them
            trace_request_ctx=self,
        )
        try:
            async with post as response:
                self._sent_bytes += 0 if is_to_be_sent_on else len(self._body)
                received = bytearray()
                async for part in response.content.iter_any():
                    received += part
                    self._received_bytes += len(part)
                    if len(received) > _MOST_ANSWER_BYTES:
                        raise _AnswerTooLongError
                fields = response.headers
                kept_s = invocation.kept_s(fields.get("Cache-Control", ""))
                return _Answer(
                    response.status, fields.get("Location"), kept_s, fields.get(_INSTANCE_FIELD), bytes(received)
                )
        finally:
            self._load.released(self._open_sockets)
            self._open_sockets = 0

    def end(self, outcome: Outcome, now_s: float) -> None:
        """Write the rows, once."""
        if self._has_ended:
            return
        self._has_ended = True
        load, where = self._load, urlsplit(self._url)
        has_answered = self._status is not None and self._status not in _REDIRECTS
        answered = (self._answered_by or load.workload.names.get(where.hostname or "")) if has_answered else None
        response_ms = (now_s - self._due_s) * 1e3
        load.log.activation(self._number, self._parts(answered, response_ms))
        load.log.flow(
            self._number,
            outcome,
            {
                "instance": answered,
                "src_port": self._port,
                "dst": where.hostname,
                "dst_port": where.port,
                "due_s": self._due_s,
                "started_s": self._started_s,
                "connected_s": self._connected_s,
                "finished_s": now_s,
                "completion_ms": response_ms,
                "bytes_sent": self._sent_bytes,
                "bytes_received": self._received_bytes,
            },
        )

    def _parts(self, cluster: str | None, response_ms: float) -> dict[str, object]:
        redirect_ms = None if self._redirected_s is None else (self._redirected_s - self._due_s) * 1e3
        said = self._activation
        is_known = said.wait_ms is not None and said.run_ms is not None
        return {
            **said._asdict(),
            "asked": self._load.name_at(self._asked_url),
            "cluster": cluster,
            "due_s": self._due_s,
            "redirects": self._redirects,
            "redirect_ms": redirect_ms,
            "path_ms": response_ms - said.spent_ms - (redirect_ms or 0.0) if is_known else None,
            "response_ms": response_ms,
            "http_status": self._status,
        }


_CURRENT: ContextVar[_Invocation] = ContextVar("invocation")  # that a task carries out


async def _on_connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    context.trace_request_ctx.on_connected()


def _outcome(status: int) -> Outcome:
    if status == _TOO_MANY:
        return Outcome.REFUSED
    return Outcome.TIMEOUT if status == _ACCEPTED else http_outcomes.of_status(status)


def _target(location: str | None) -> str | None:
    """Return where an invocation is sent, if that is a URL that it can follow."""
    try:
        where = urlsplit(location or "")
        is_good = where.scheme == "http" and bool(where.hostname) and where.port is not None
    except ValueError:
        return None
    return location if is_good else None
