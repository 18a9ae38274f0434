"""Follow a server: find its resources, hold copies of them by its update stream, poll where that does not work.

Each round begins at the directory, for what a server has may change with its life. What the last round knew counts
until the next one knows better.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from testbed.agents.alto_client.cluster_list import Known
from testbed.agents.alto_client.copies import Copies
from testbed.agents.alto_client.resources import wanted
from testbed.agents.alto_client.session import Session
from testbed.alto.client import requests
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.closure import Closure
from testbed.alto.client.directory_walk import DirectoryWalk
from testbed.alto.client.kept_answers import KeptAnswers
from testbed.alto.errors import AltoDataError
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.updates.following.client import Broken, Stopped
from testbed.errors import TestbedError


@dataclass(frozen=True)
class Exchange:
    """What came from the server: an answer, or octets of a stream. `took_ms`: from the request on."""

    kind: Literal["request", "update"]
    resource: str
    outcome: str
    octets: int
    took_ms: float | None = None


@dataclass(frozen=True)
class Pace:
    """How often a server without a stream is asked, and the pause after a failure, which doubles up to that."""

    poll_s: float
    pause_s: float

    def pause_after_s(self, failures: int) -> float:
        """Return how long to pause after so many failures in a row, at least one."""
        return min(self.poll_s, self.pause_s * 2.0 ** min(failures - 1, 60))


class Follower:
    """Follows one server until it is cancelled. `note` takes each exchange, `complain` what goes wrong."""

    def __init__(
        self,
        session: Session,
        url: str,
        known: Known,
        pace: Pace,
        note: Callable[[Exchange], None],
        complain: Callable[[str], None],
    ) -> None:
        self._session, self._url, self._known, self._pace = session, url, known, pace
        self._note, self._complain = note, complain
        self._stream_failures = 0
        self._kept = KeptAnswers()

    async def run(self) -> None:
        """Follow; never returns."""
        failures = 0
        while True:
            try:
                copies = Copies(wanted(self._url, await self._walk()), self._known)
                await self._follow(copies)
                failures = 0
                pause_s = self._pace.poll_s
            except (AltoAnswerError, AltoDataError) as error:
                failures += 1
                pause_s = self._pace.pause_after_s(max(failures, self._stream_failures))
                self._complain(str(error))
            await asyncio.sleep(pause_s)

    async def _walk(self) -> Closure:
        walk = DirectoryWalk(self._url)
        while (request := walk.next_request()) is not None:
            walk.take(await self._fetch(request))
        return walk.closure

    async def _follow(self, copies: Copies) -> None:
        """Fetch what no stream brings, then follow the stream to its end. Raises AltoAnswerError when that fails."""
        is_polled = copies.wanted.stream is None or self._stream_failures > 0
        followed = () if is_polled else copies.wanted.followed
        for resource in copies.wanted.all:
            if resource not in followed:
                copies.take(resource.resource_id, await self._fetch(requests.whole(resource)), time.monotonic())
        if copies.wanted.stream is not None:
            await self._stream(copies)

    async def _stream(self, copies: Copies) -> None:
        request = copies.open_request()
        self._stream_failures += 1  # until it brings something
        async for octets in self._session.stream(request):
            self._note(Exchange("update", request.path, "200", len(octets)))
            events = copies.receive(octets, time.monotonic())
            for event in events:
                if isinstance(event, Broken | Stopped):
                    raise AltoAnswerError(request.path, f"the stream is of no more use: {_why(event)}")
            if events:
                self._stream_failures = 0
            resync = copies.resync_request()
            if resync is not None:
                await self._fetch(resync)
        raise AltoAnswerError(request.path, "the stream ended; it is opened again")

    async def _fetch(self, request: Request) -> Answer:
        began_s = time.monotonic()
        kept = self._kept.fresh(request, began_s)
        if kept is not None:
            return kept
        try:
            answer = await self._session.fetch(self._kept.conditional(request))
        except TestbedError:
            self._note(Exchange("request", request.path, "no answer", 0, 1e3 * (time.monotonic() - began_s)))
            raise
        took_ms = 1e3 * (time.monotonic() - began_s)
        self._note(Exchange("request", request.path, str(answer.status), len(answer.body), took_ms))
        return self._kept.take(request, answer, time.monotonic())


def _why(event: Broken | Stopped) -> str:
    return event.reason if isinstance(event, Broken) else event.description or "its server ended it"
