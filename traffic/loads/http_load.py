"""Open-loop HTTP requests: each at its due time, on a TCP connection and source port of its own.

Owns the sockets of one workload's requests. A request never waits for an earlier one; a slow service sees
the queue that real independent clients would build. Plain non-blocking sockets under the event loop's
readers and writers: asyncio's streams cost several times as much per connection.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time

from testbed.net.addresses import Address
from traffic.arrivals.due_arrivals import DueArrivals
from traffic.arrivals.schedule import Schedule
from traffic.content import http_exchange
from traffic.content.http_response import MalformedResponseError, Response
from traffic.destination import Destination
from traffic.flow_log import FlowLog, Outcome
from traffic.loads import http_outcomes
from traffic.sockets import LocalLimitError, SocketSource
from traffic.workloads import HttpWorkload

_RECEIVE_BYTES = 262_144


class HttpLoad:
    """Begins the requests of one workload as they come due."""

    def __init__(
        self,
        workload: HttpWorkload,
        log: FlowLog,
        sockets: SocketSource,
        schedule: Schedule,
        loop: asyncio.AbstractEventLoop,
        destination: Destination,
    ) -> None:
        self.workload = workload
        self.log = log
        self.sockets = sockets
        self.schedule = schedule
        self.loop = loop
        self.destination = destination
        self.open_requests: set[_Request] = set()
        self._due_arrivals = DueArrivals(workload.arrivals, schedule, self._begin)

    def begin(self, start_s: float) -> None:
        """Put the first arrival on the schedule; offsets count from `start_s`."""
        self._due_arrivals.begin(start_s)

    def interrupt(self, now_s: float) -> None:
        """Record the requests that are due by now and have not ended."""
        for request in list(self.open_requests):
            request.end(Outcome.INTERRUPTED, now_s)
        for number, due_s in self._due_arrivals.due(now_s):
            self.log.accuracy.due(due_s)
            _Request(self, number, due_s).end(Outcome.INTERRUPTED, now_s)

    def _begin(self, number: int, due_s: float) -> None:
        self.log.accuracy.due(due_s)
        _Request(self, number, due_s).begin()


class _Request:
    """One request, from its due time to its row in `flows`."""

    __slots__ = (
        "_address",
        "_connected_s",
        "_due_s",
        "_has_ended",
        "_load",
        "_number",
        "_port",
        "_resolution_s",
        "_response",
        "_sent_bytes",
        "_socket",
        "_started_s",
        "_unsent",
    )

    def __init__(self, load: HttpLoad, number: int, due_s: float) -> None:
        self._load = load
        self._number = number
        self._due_s = due_s
        self._address: Address | None = None
        self._resolution_s: float | None = None
        self._started_s: float | None = None
        self._connected_s: float | None = None
        self._socket: socket.socket | None = None
        self._port: int | None = None
        self._unsent = b""
        self._sent_bytes = 0
        self._response = Response()
        self._has_ended = False

    def begin(self) -> None:
        """Find out where to go, then send the SYN."""
        self._load.open_requests.add(self)
        self._load.destination.ask(self._connect)

    def _connect(self, address: Address | None, resolution_s: float | None) -> None:
        if self._has_ended:  # interrupted while it waited
            return
        load = self._load
        workload = load.workload
        self._address, self._resolution_s = address, resolution_s
        if address is None:
            self.end(Outcome.UNRESOLVED, time.monotonic())
            return
        try:
            opened, self._port = load.sockets.open(socket.SOCK_STREAM, address.version)
        except LocalLimitError:
            self.end(Outcome.LOCAL_LIMIT, time.monotonic())
            return
        self._socket = opened
        self._unsent = http_exchange.request(
            address,
            workload.port,
            work_ms=workload.arrivals[self._number].amount,
            response_bytes=workload.response_bytes,
            request_bytes=workload.request_bytes,
            host_name=workload.host_name,
        )
        self._started_s = time.monotonic()
        code = opened.connect_ex((str(address), workload.port))
        if code not in (0, errno.EINPROGRESS):
            self._fail(OSError(code, os.strerror(code)))
            return
        # To wait for an answer is the network's doing, not lateness of this generator.
        load.log.accuracy.sent(self._due_s + (resolution_s or 0.0), self._started_s)
        load.loop.add_writer(opened, self._on_writable)
        load.schedule.add(self._started_s + workload.timeout_s, self._expire)

    def end(self, outcome: Outcome, now_s: float) -> None:
        """Close the connection and write the row."""
        load = self._load
        self._has_ended = True
        if self._socket is not None:
            load.loop.remove_writer(self._socket)
            load.loop.remove_reader(self._socket)
            load.sockets.close(self._socket)
            self._socket = None
        load.open_requests.discard(self)
        self._unsent = b""
        load.log.flow(
            self._number,
            outcome,
            {
                "instance": self._response.instance,
                "src_port": self._port,
                "dst": self._address,
                "resolution_ms": None if self._resolution_s is None else self._resolution_s * 1e3,
                "due_s": self._due_s,
                "started_s": self._started_s,
                "connected_s": self._connected_s,
                "finished_s": now_s,
                "completion_ms": (now_s - self._due_s) * 1e3,
                "bytes_sent": self._sent_bytes,
                "bytes_received": self._response.received_bytes,
                "work_ms": load.workload.arrivals[self._number].amount,
            },
        )

    def _expire(self, now_s: float) -> None:
        if not self._has_ended:
            self.end(Outcome.TIMEOUT, now_s)

    def _on_writable(self) -> None:
        assert self._socket is not None
        if self._connected_s is None:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._fail(OSError(code, os.strerror(code)))
                return
            self._connected_s = time.monotonic()
            self._load.loop.add_reader(self._socket, self._on_readable)
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        self._sent_bytes += sent
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._load.loop.remove_writer(self._socket)

    def _on_readable(self) -> None:
        if self._socket is None:  # ended by the writer's callback in the same turn of the loop
            return
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        now_s = time.monotonic()
        response = self._response
        try:
            is_complete = response.feed(data) if data else response.ends_well()
        except MalformedResponseError:
            self.end(Outcome.ERROR, now_s)
            return
        except Exception as error:
            self._load.log.errors.note("http_answer", error)
            self.end(Outcome.ERROR, now_s)
            return
        if is_complete:
            self.end(http_outcomes.of_status(response.status), now_s)
        elif not data:
            self.end(Outcome.RESET, now_s)

    def _fail(self, error: OSError) -> None:
        outcome = http_outcomes.of_error(error)
        if outcome is Outcome.UNREACHABLE:
            self._load.log.counts["unreachable_errors"] += 1
        self.end(outcome, time.monotonic())
