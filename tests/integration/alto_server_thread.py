"""An ALTO server on loopback beside a test: in a thread of its own, with the loop that it needs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testbed.agents.alto_server.server import AltoServer, Place
from testbed.alto.directory.directory import Directory
from testbed.alto.network import directories
from testbed.alto.network.static_knowledge import knowledge_of
from testbed.alto.service.knowledge import Knowledge
from testbed.experiment.systems.alto.topology_facts import facts_of
from topologies import catalogue
from topologies.addressing import AddressPlan

_WITHIN_S = 20


@dataclass
class Running:
    """A server that runs; `url` is its directory's."""

    server: AltoServer
    loop: asyncio.AbstractEventLoop
    url: str

    def at(self, path: str) -> str:
        """Return the URL of a path on the server."""
        return self.url.removesuffix(directories.DIRECTORY_PATH) + path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].partition("/")[0])

    def update(self, known: Knowledge) -> None:
        """Have the server know this from now on."""
        done = threading.Event()

        def act() -> None:
            self.server.update(known)
            done.set()

        self.loop.call_soon_threadsafe(act)
        assert done.wait(_WITHIN_S)


def abilene() -> Knowledge:
    """What there is to know of a network of twelve routers."""
    topology = catalogue.load("sndlib/abilene")
    return knowledge_of(facts_of(topology, AddressPlan(topology)))


@contextmanager
def serving(place: Place, known: Knowledge | None = None, directory: Directory | None = None) -> Iterator[Running]:
    """Have a server for the block; when it ends, so does the server, in time and without an error."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> tuple[AltoServer, str]:
        found = directory or directories.directory()
        server = AltoServer(place, known or abilene(), found, directories.DIRECTORY_PATH)
        return server, await server.begin()

    try:
        server, url = asyncio.run_coroutine_threadsafe(begin(), loop).result(_WITHIN_S)
        yield Running(server, loop, url)
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(_WITHIN_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_WITHIN_S)
        loop.close()
