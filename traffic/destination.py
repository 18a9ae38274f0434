"""Where the flows of a workload go: to an address that is known from the start, or to one that a name stands for.

Owns what a client remembers of a name: the answer of its name server, for as long as that says (its TTL). Flows that
begin while a question is on its way wait for the answer together. Asking is `lookup`'s business; knows no sockets.
Service identity by DNS: section 4.1 of the CFN-Dyncast architecture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from testbed.net.addresses import Address

Use = Callable[["Address | None", "float | None"], None]


class Answer(NamedTuple):
    """What a name server said: an address, and for how long it holds. Without an address there is none to be had."""

    address: Address | None
    ttl_s: float


Lookup = Callable[[], Awaitable[Answer]]


class Destination(Protocol):
    """Says where each flow goes, when it begins."""

    def ask(self, use: Use) -> None:
        """Call `use` with the address (None: there is none) and how long that took (None: no name was looked up)."""


class FixedDestination:
    """An address that is known from the start."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def ask(self, use: Use) -> None:
        """Call `use` at once."""
        use(self._address, None)


class NamedDestination:
    """The address that a name stands for. `lookup` asks for it; what fails is asked again by the next flow.

    `on_answer` is called when flows that waited have their answer.
    """

    def __init__(self, lookup: Lookup, loop: asyncio.AbstractEventLoop, on_answer: Callable[[], None]) -> None:
        self._lookup = lookup
        self._loop = loop
        self._on_answer = on_answer
        self._address: Address | None = None
        self._expires_s = float("-inf")
        self._waiting: list[tuple[Use, float]] = []
        self._asking: asyncio.Task[None] | None = None

    def ask(self, use: Use) -> None:
        """Call `use` at once while the last answer holds, else when the next one comes."""
        now_s = self._loop.time()
        if now_s < self._expires_s:
            use(self._address, 0.0)
            return
        self._waiting.append((use, now_s))
        if self._asking is None:
            self._asking = self._loop.create_task(self._find_out())
            self._asking.add_done_callback(_raise_what_failed)

    def close(self) -> None:
        """Stop waiting for an answer."""
        if self._asking is not None:
            self._asking.cancel()

    async def _find_out(self) -> None:
        answer = await self._lookup()
        now_s = self._loop.time()
        self._asking = None
        if answer.address is not None:
            self._address, self._expires_s = answer.address, now_s + answer.ttl_s
        waiting, self._waiting = self._waiting, []
        for use, since_s in waiting:
            use(answer.address, now_s - since_s)
        self._on_answer()


def _raise_what_failed(asking: asyncio.Task[None]) -> None:
    if not asking.cancelled():
        asking.result()
