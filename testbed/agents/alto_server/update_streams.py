"""Update streams (RFC 8895) over HTTP: one answer without an end for each, and the one timer of them all."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence

from aiohttp import web

from testbed.agents.alto_server.exchanges import Exchange, Note, unnoted
from testbed.agents.http.connections import cut
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.updates.served_streams import Reply, ServedStreams
from testbed.alto.updates.service import Action, Send

_OCTETS_AT_ONCE = 1 << 16
_END_WITHIN_S = 1.0


class UpdateFrontend:
    """The update stream that an entry is of, and the controls of its streams."""

    def __init__(
        self,
        entry: ResourceEntry,
        directories: Mapping[str, Directory],
        knowledge: Knowledge,
        note: Note = unnoted,
    ) -> None:
        self._served = ServedStreams(entry, directories, knowledge, lambda: secrets.token_urlsafe(16))
        self._streams = self._served.streams
        self._note = note
        self._ready: dict[str, asyncio.Event] = {}
        self._transports: dict[str, asyncio.Transport] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open_streams(self) -> int:
        """Return how many streams are being sent."""
        return len(self._ready)

    def update(self, knowledge: Knowledge) -> None:
        """Have what changed sent."""
        self._perform(self._served.update(knowledge, self._loop.time()))

    def answer(self, request: Request) -> Reply | None:
        """Answer a request for a stream or to the control of one; None: it is for another resource."""
        reply = self._served.answer(request, self._loop.time())
        if reply is not None:
            self._perform(reply.actions)
        return reply

    async def send(self, stream_id: str, answer: Answer, request: web.BaseRequest) -> web.StreamResponse:
        """Send a stream until it ends."""
        response = web.StreamResponse(headers=dict(answer.headers))
        response.force_close()
        ready = self._ready[stream_id] = asyncio.Event()
        if request.transport is not None:
            self._transports[stream_id] = request.transport
        try:
            await response.prepare(request)
            while True:
                taken = self._streams.take(stream_id, _OCTETS_AT_ONCE, self._loop.time())
                self._set_timer()
                if taken.octets:
                    await response.write(taken.octets)
                    self._note(Exchange("update", request.remote or "", request.path, 200, len(taken.octets)))
                elif not taken.is_last:
                    await ready.wait()
                    ready.clear()
                if taken.is_last:
                    break
            await response.write_eof()
        finally:
            self._streams.closed(stream_id)
            del self._ready[stream_id]
            self._transports.pop(stream_id, None)
            self._set_timer()
        return response

    async def close(self) -> None:
        """End all streams, and give them a moment to say so."""
        self._perform(self._streams.end_all("the server ends", self._loop.time()))
        end_s = self._loop.time() + _END_WITHIN_S
        while self._ready and self._loop.time() < end_s:
            await asyncio.sleep(0.01)
        if self._timer is not None:
            self._timer.cancel()

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                if action.stream_id in self._ready:
                    self._ready[action.stream_id].set()
            elif action.stream_id in self._transports:
                cut(self._transports[action.stream_id])
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._streams.next_timer_s()
        self._timer = None if due_s is None else self._loop.call_at(due_s, self._on_timer, due_s)

    def _on_timer(self, due_s: float) -> None:
        self._perform(self._streams.on_timer(max(due_s, self._loop.time())))
