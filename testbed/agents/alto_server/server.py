"""An ALTO server that listens: its socket, its connections, and what it knows from one moment to the next."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from testbed.agents.alto_server.authentication import Authentication
from testbed.agents.alto_server.exchanges import Note, unnoted
from testbed.agents.alto_server.frontend import Frontend
from testbed.agents.alto_server.limits import Limits
from testbed.agents.alto_server.update_streams import UpdateFrontend
from testbed.agents.http.tls import TlsFiles, server_context
from testbed.alto.directory.directory import Directory
from testbed.alto.media_types import UPDATE_STREAM
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from testbed.errors import TestbedError

_END_WITHIN_S = 2.0


class CannotListen(TestbedError):
    """An address or port at which no server can be; the text names it and the way out."""


@dataclass(frozen=True)
class Place:
    """Where a server is, and what clients need there. `port` 0: any that is free. `users`: none, everybody may ask."""

    address: str = "127.0.0.1"
    port: int = 0
    tls: TlsFiles | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


class AltoServer:
    """A server from `begin` to `close`; it has an update stream if its directory has an entry of one."""

    def __init__(
        self,
        place: Place,
        knowledge: Knowledge,
        directory: Directory,
        directory_path: str,
        note: Note = unnoted,
    ) -> None:
        """Take what is served; raises AltoDataError if that is no server of ALTO. It wants a running loop.

        `note` is called with what clients were sent.
        """
        self._place, self._path = place, directory_path
        directories = {directory_path: directory}
        self.service = Service(knowledge, directories, place.limits.body_octets)
        stream = next((entry for entry in directory.entries if entry.media_type == UPDATE_STREAM), None)
        self._updates = None if stream is None else UpdateFrontend(stream, directories, knowledge, note)
        users = Authentication(place.users, secrets.token_bytes(32)) if place.users else None
        self._frontend = Frontend(self.service, place.limits, users, self._updates, note)
        self._listener: asyncio.Server | None = None
        self.url = ""

    @property
    def counts(self) -> Mapping[str, int]:
        """Return what happened so far, by kind."""
        return self._frontend.counts

    @property
    def open_streams(self) -> int:
        """Return how many update streams are being sent."""
        return 0 if self._updates is None else self._updates.open_streams

    async def begin(self) -> str:
        """Listen, and return the directory's URL. Raises CannotListen or TlsError."""
        tls = None if self._place.tls is None else server_context(self._place.tls)
        listening = _bound(self._place)
        self._listener = await asyncio.get_running_loop().create_server(
            self._frontend.server,
            sock=listening,
            backlog=512,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self._place.limits.handshake_s,
        )
        host, port = listening.getsockname()[:2]
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{self._path}"
        return self.url

    def update(self, knowledge: Knowledge) -> None:
        """Serve from now on what is known now; streams are sent what changed."""
        self._frontend.change_times.updated(time.time())
        self.service.update(knowledge)
        if self._updates is not None:
            self._updates.update(knowledge)

    async def close(self) -> None:
        """Listen no more, end streams and answers, close all connections."""
        if self._listener is not None:
            self._listener.close()
        if self._updates is not None:
            await self._updates.close()
        await self._frontend.server.shutdown(_END_WITHIN_S)


def _bound(place: Place) -> socket.socket:
    address = ip_address(place.address)
    listening = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((place.address, place.port))
    except OSError as error:
        listening.close()
        text = f"cannot serve at {place.address} port {place.port}: {error.strerror}; choose another port (0: any)"
        raise CannotListen(text) from error
    return listening
