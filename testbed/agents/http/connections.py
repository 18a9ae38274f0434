"""Connections of an aiohttp server, bounded in number and in idleness: what sends no request or reads no answer is cut
off, be it drop by drop.

aiohttp waits without end for the head of a first request; here each connection has a timer while no request of it is
being answered, and one while an answer is sent that its client must take.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler


@dataclass(frozen=True)
class ConnectionLimits:
    """How much the clients of a server may have it hold for them, and how long."""

    line_octets: int = 8190
    """Longest line of a request's head; 400 beyond."""
    headers: int = 128
    """Most headers of a request; 400 beyond."""
    idle_s: float = 30.0
    """A connection on which no whole head of a request arrives for so long is closed."""
    stalled_s: float = 30.0
    """A client that takes nothing of its answer for so long is cut off."""
    connections: int = 1000
    """Connections at once; those beyond are closed."""


def cut(transport: asyncio.Transport) -> None:
    """Close a connection at once, and forget what its client has not taken, in the kernel, too."""
    connected = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class BoundedServer(web.Server):
    """aiohttp's low-level server, with bounds on connections."""

    def __init__(self, handler: Any, limits: ConnectionLimits) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=limits.idle_s,
            max_line_size=limits.line_octets,
            max_field_size=limits.line_octets,
            max_headers=limits.headers,
            lingering_time=1.0,
        )
        self._limits = limits
        self._idle: dict[RequestHandler, asyncio.TimerHandle] = {}
        self.refused_connections = 0

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Begin to wait for a request on a connection, or close it if there are too many."""
        super().connection_made(handler, transport)
        if len(self.connections) > self._limits.connections:
            self.refused_connections += 1
            cut(transport)
            return
        self.idle(handler, transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Wait for nothing on a connection that is gone."""
        self.busy(handler)
        super().connection_lost(handler, exc)

    def busy(self, handler: RequestHandler) -> None:
        """A request has come, and is being answered."""
        timer = self._idle.pop(handler, None)
        if timer is not None:
            timer.cancel()

    def idle(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Wait for the next request, so long as the limits say."""
        self.busy(handler)
        self._idle[handler] = asyncio.get_running_loop().call_later(self._limits.idle_s, cut, transport)

    @contextmanager
    def answering(self, request: web.BaseRequest) -> Iterator[None]:
        """While a request is being answered, do not wait for one on its connection."""
        handler, transport = request.protocol, request.transport
        self.busy(handler)
        try:
            yield
        finally:
            if transport is not None and not transport.is_closing():
                self.idle(handler, transport)


class Watch:
    """A timer that cuts a connection, and begins again whenever its client takes something."""

    def __init__(self, transport: asyncio.Transport | None, within_s: float) -> None:
        self._transport, self._within_s = transport, within_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.again()

    def again(self) -> None:
        """Begin to wait."""
        self.end()
        if self._transport is not None:
            self._timer = self._loop.call_later(self._within_s, cut, self._transport)

    def end(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def watched(request: web.BaseRequest, within_s: float) -> Iterator[Watch]:
    """Cut a client off that takes nothing of its answer for too long."""
    watch = Watch(request.transport, within_s)
    try:
        yield watch
    finally:
        watch.end()
