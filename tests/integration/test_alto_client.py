"""The ALTO client on loopback, beside a real server: by its update stream, by polling, and when the server is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest

from testbed.agents.alto_client.cluster_list import Known
from testbed.agents.alto_client.follower import Exchange, Follower, Pace
from testbed.agents.alto_client.session import Session
from testbed.agents.alto_server.server import Place
from testbed.alto import media_types
from testbed.alto.directory.directory import Directory
from testbed.alto.network import directories
from testbed.alto.network.static_knowledge import DELAY
from testbed.runtime.polling import wait_until
from tests.integration.alto_server_thread import abilene, serving

pytestmark = pytest.mark.timeout(120)

PAIR = ("ATLAng", "CHINng")


@dataclass
class Following:
    """A client in a thread of its own, and what came of it."""

    known: Known = field(default_factory=Known)
    exchanges: list[Exchange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def hops(self) -> object:
        """What it knows of a path."""
        return self.known.costs.get("hopcount", {}).get(PAIR[0], {}).get(PAIR[1])

    def delay_us(self) -> object:
        return self.known.costs.get("delay-ow", {}).get(PAIR[0], {}).get(PAIR[1])

    def kinds(self) -> set[str]:
        return {exchange.kind for exchange in self.exchanges}


@contextmanager
def following(url: str) -> Iterator[Following]:
    """Have a client that follows a server while the block runs."""
    found, over = Following(), Event()

    async def follow() -> None:
        async with Session() as session:
            follower = Follower(
                session, url, found.known, Pace(0.1, 0.05), found.exchanges.append, found.problems.append
            )
            task = asyncio.create_task(follower.run())
            await asyncio.to_thread(over.wait)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    thread = Thread(target=lambda: asyncio.run(follow()), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join(30)
    assert not thread.is_alive()


def without_stream() -> Directory:
    """The directory of a server that has no update stream."""
    whole = directories.directory()
    return replace(whole, entries=tuple(one for one in whole.entries if one.media_type != media_types.UPDATE_STREAM))


@pytest.mark.parametrize(
    ("directory", "kinds"),
    [(directories.directory, {"request", "update"}), (without_stream, {"request"})],
    ids=["by its stream", "by polling"],
)
def test_what_changes_at_the_server_is_known_to_the_client(directory: Callable[[], Directory], kinds: set[str]) -> None:
    with serving(Place(), directory=directory()) as server, following(server.url) as client:
        wait_until(lambda: client.hops() is not None, 30, "the maps")
        assert client.known.network is not None and client.known.network.pid_of("ipv4:172.31.0.2") == PAIR[0]
        server.update(abilene().with_cost("net", DELAY, *PAIR, 123))
        wait_until(lambda: client.delay_us() == 123, 30, "the new cost")
        assert client.kinds() == kinds and not client.problems
        fetched = [one.resource for one in client.exchanges if one.kind == "request"]
        if "update" in kinds:
            assert len(fetched) == 1, "the directory, and no map: those came by the stream"


def test_who_polls_is_not_sent_what_it_has() -> None:
    with serving(Place(), directory=without_stream()) as server, following(server.url) as client:

        def answers(status: str) -> set[str]:
            return {urlsplit(one.resource).path for one in client.exchanges if one.outcome == status}

        wait_until(
            lambda: {"/directory", "/net", "/costs/delay-ow-numerical"} <= answers("304"), 30, "answers without bodies"
        )
        assert client.known.network is not None and client.delay_us() is not None
        server.update(abilene().with_cost("net", DELAY, *PAIR, 123))
        wait_until(lambda: client.delay_us() == 123, 30, "the new cost")
        assert not client.problems
        sent = [urlsplit(one.resource).path for one in client.exchanges if one.outcome == "200"]
        assert sent.count("/net") == sent.count("/directory") == 1
        assert sent.count("/costs/delay-ow-numerical") == 2


def test_a_server_that_is_not_there_is_asked_again_until_it_is() -> None:
    with serving(Place()) as first:
        port = urlsplit(first.url).port
    assert port is not None
    with following(first.url) as client:
        wait_until(lambda: len(client.problems) > 2, 30, "attempts that fail")
        assert "is a server there?" in client.problems[0] and client.known.contact_s is None
        with serving(Place(port=port)):
            wait_until(lambda: client.hops() is not None, 30, "the maps")
        wait_until(lambda: "is a server there?" in client.problems[-1], 30, "the end of the server to be noticed")
        assert client.hops() is not None, "what was known counts until something else is"
