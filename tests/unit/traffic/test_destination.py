"""What a client remembers of a name, and who waits for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from testbed.net.addresses import Address
from tests.dyncast_samples import FAR, NEAR
from traffic.destination import Answer, FixedDestination, NamedDestination


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time is said."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s


class Server:
    """Answers when it is told to."""

    def __init__(self, loop: Clock) -> None:
        self.asked: list[asyncio.Future[Answer]] = []
        self._loop = loop

    async def look_up(self) -> Answer:
        self.asked.append(self._loop.create_future())
        return await self.asked[-1]


class Scene:
    """A client that looks one name up, and what its flows were told."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.server = Server(clock)
        self.told: list[tuple[Address | None, float | None]] = []
        self.times_woken = 0
        self.destination = NamedDestination(self.server.look_up, clock, self._wake)

    def _wake(self) -> None:
        self.times_woken += 1

    async def ask(self) -> None:
        self.destination.ask(lambda *answer: self.told.append(answer))
        await _turns()

    async def answer(self, address: Address | None, ttl_s: float) -> None:
        self.server.asked[-1].set_result(Answer(address, ttl_s))
        await _turns()


def _played(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    loop = Clock()

    async def run() -> None:
        scene = Scene(loop)
        await test(scene)
        scene.destination.close()

    loop.set_exception_handler(lambda _, context: failed.append(context))
    failed: list[dict[str, Any]] = []
    loop.run_until_complete(run())
    loop.close()
    assert not failed


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_fixed_destination_is_known_at_once_and_takes_no_look() -> None:
    told: list[tuple[Address | None, float | None]] = []
    FixedDestination(NEAR).ask(lambda *answer: told.append(answer))
    assert told == [(NEAR, None)]


def test_flows_wait_for_one_answer_together_and_then_go_by_it_until_it_expires() -> None:
    async def test(scene: Scene) -> None:
        await scene.ask()
        scene.clock.now_s = 0.3
        await scene.ask()
        assert len(scene.server.asked) == 1 and scene.told == []
        scene.clock.now_s = 0.5
        await scene.answer(NEAR, 10)
        assert scene.told == [(NEAR, 0.5), (NEAR, 0.2)] and scene.times_woken == 1
        scene.clock.now_s = 10.4
        await scene.ask()
        assert scene.told[2:] == [(NEAR, 0.0)] and len(scene.server.asked) == 1
        scene.clock.now_s = 10.5
        await scene.ask()
        await scene.answer(FAR, 10)
        assert scene.told[3:] == [(FAR, 0.0)]

    _played(test)


def test_a_lifetime_of_nothing_is_an_answer_for_those_who_wait() -> None:
    async def test(scene: Scene) -> None:
        for address in (NEAR, FAR):
            await scene.ask()
            await scene.answer(address, 0)
        assert [address for address, _ in scene.told] == [NEAR, FAR] and scene.times_woken == 2

    _played(test)


def test_what_failed_is_asked_again_by_the_next_flow() -> None:
    async def test(scene: Scene) -> None:
        await scene.ask()
        await scene.answer(None, 30)
        await scene.ask()
        await scene.answer(FAR, 30)
        assert [address for address, _ in scene.told] == [None, FAR]

    _played(test)
