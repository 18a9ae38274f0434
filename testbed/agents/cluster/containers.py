"""The containers of a cluster on this machine: started, filled, run and ended as the core orders, and what they report.

Owns their folders, their connections, and which failure an end was. One run at a time each: the core sees to that.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import aiohttp

from testbed.agents.cluster.child import Child
from testbed.agents.cluster.sandboxes.control_groups import ControlGroups, Limits
from testbed.agents.cluster.sandboxes.sandbox import Sandbox
from testbed.agents.cluster.sandboxes.view import Container
from testbed.faas.activations.outcome import Failure, Reply
from testbed.faas.api.messages import encoded
from testbed.faas.delivery.manifest import seen_name
from testbed.faas.orders import Initialize, Run, StartContainer

_LOGS_WAIT_S = 1.0  # after its answer, a container has so long to mark the end of its logs
_EXIT_WAIT_S = 0.3  # a connection breaks before its process is seen to have ended
_KILLED = 128 + 9  # as runc says it
_IDLE_CONNECTION_S = 3600.0


class Reports(Protocol):
    """What becomes of containers, as the core wants it."""

    def on_started(self, container: int, now_s: float) -> None:
        """A container's runtime waits for code."""

    def on_initialized(self, container: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /init."""

    def on_ran(self, container: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /run."""

    def on_ended(self, container: int, failure: Failure, detail: str, logs: tuple[str, ...], now_s: float) -> None:
        """A container is no more."""


@dataclass
class _Standing:
    """One container that stands."""

    container: Container
    child: Child
    session: aiohttp.ClientSession
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    exchange: asyncio.Task[None] | None = None
    failure: Failure | None = None
    is_stopped: bool = False  # by order


@dataclass(frozen=True)
class Place:
    """Where containers are: the cluster's folder, the name and mark of its run, its layers, and limits of each.

    `mark`: what distinguishes them from those of other clusters of the run.
    """

    folder: Path
    tag: str
    variables: Mapping[str, str]
    layer: Callable[[str], Path]
    cpus: float
    most_result_bytes: int
    mark: str = ""

    def named(self, number: int) -> str:
        """Return what a container is called in its run."""
        return f"{self.mark}{number}"


class Containers:
    """All containers of a cluster."""

    def __init__(self, sandbox: Sandbox, groups: ControlGroups, place: Place, reports: Reports) -> None:
        self._sandbox, self._groups, self._place, self._reports = sandbox, groups, place, reports
        self._standing: dict[int, _Standing] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def start(self, order: StartContainer) -> None:
        """Start a container."""
        number, named = order.container, self._place.named(order.container)
        folder = self._place.folder / str(number)
        container = Container(
            f"{self._place.tag}-{named}",
            order.kind,
            {seen_name(layer): self._place.layer(layer) for layer in order.layers},
            order.memory_mb,
            folder,
            f"{self._place.tag}/{named}",
            self._place.cpus,
            self._place.variables,
        )
        try:
            folder.mkdir()
            entered = self._groups.make(named, Limits(order.memory_mb, self._place.cpus))
            child = Child(
                self._sandbox.command(container),
                folder / "socket",
                entered if self._sandbox.is_limited_from_outside else (),
                partial(self._on_ready, number),
                partial(self._on_exit, number),
                self._sandbox.hidden,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._groups.remove(named)
            shutil.rmtree(folder, ignore_errors=True)
            self._reports.on_ended(number, Failure.START, str(error), (), time.monotonic())
            return
        connector = aiohttp.UnixConnector(str(folder / "socket"), limit=1, keepalive_timeout=_IDLE_CONNECTION_S)
        session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        self._standing[number] = _Standing(container, child, session)

    def initialize(self, order: Initialize) -> None:
        """Send code to a container."""
        standing = self._standing.get(order.container)
        if standing is not None:
            standing.exchange = asyncio.ensure_future(self._initialize(order, standing))

    def run(self, order: Run) -> None:
        """Have a container run once."""
        standing = self._standing.get(order.container)
        if standing is not None:
            standing.exchange = asyncio.ensure_future(self._run(order, standing))

    def stop(self, number: int) -> None:
        """End a container at once."""
        standing = self._standing.get(number)
        if standing is not None:
            standing.is_stopped = True
            self._sandbox.kill(standing.container, standing.child.pid)

    @property
    def pids(self) -> list[int]:
        """The processes at the top of each container."""
        return [standing.child.pid for standing in self._standing.values()]

    async def close(self, timeout_s: float) -> None:
        """Wait until all containers have ended, which were ordered to."""
        until_s = time.monotonic() + timeout_s
        while (self._standing or self._ending) and time.monotonic() < until_s:
            waited = [*self._ending, *(asyncio.ensure_future(item.ended.wait()) for item in self._standing.values())]
            await asyncio.wait(waited, timeout=0.2)
            for number in list(self._standing):
                self.stop(number)

    # A container reports ------------------------------------------------------------------------------------------

    def _on_ready(self, number: int) -> None:
        self._reports.on_started(number, time.monotonic())

    def _on_exit(self, number: int, code: int) -> None:
        standing = self._standing.get(number)
        if standing is not None:
            standing.ended.set()
            task = asyncio.ensure_future(self._end(number, standing, code))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, number: int, standing: _Standing, code: int) -> None:
        """Take away what a container had, then report its end: until then its memory is not free."""
        if standing.exchange is not None:
            # What it answered before it ended counts.
            await asyncio.wait({standing.exchange}, timeout=_EXIT_WAIT_S)
            standing.exchange.cancel()
        was_killed = self._has_used_too_much(number, standing, code)
        problem = self._sandbox.problem(standing.container) or standing.child.said()
        await asyncio.get_running_loop().run_in_executor(None, self._take_away, number, standing.container)
        await standing.session.close()
        del self._standing[number]
        failure = standing.failure or Failure.EXITED
        detail = ""
        if was_killed:
            failure = Failure.MEMORY
        elif not standing.child.is_ready:
            failure, detail = Failure.START, problem or f"{self._sandbox.name} ended with code {code}"
        self._reports.on_ended(number, failure, detail, _logs(standing.child), time.monotonic())

    def _has_used_too_much(self, number: int, standing: _Standing, code: int) -> bool:
        """Return whether the kernel has killed a container for its memory."""
        if self._groups.has_killed(self._place.named(number)):
            return True
        # runc has removed its groups by now, with their counts; what is in a container cannot kill its first process.
        is_by_kernel = code == _KILLED and not standing.is_stopped and standing.failure is None
        return is_by_kernel and not self._sandbox.is_limited_from_outside and "memory" in self._groups.limited

    def _take_away(self, number: int, container: Container) -> None:
        self._sandbox.clear(container)
        self._groups.remove(self._place.named(number))
        shutil.rmtree(container.folder, ignore_errors=True)

    # The contract -------------------------------------------------------------------------------------------------

    async def _initialize(self, order: Initialize, standing: _Standing) -> None:
        reply = await self._exchange(standing, "init", encoded(order.document))
        if reply is not None:
            logs: tuple[str, ...] = ()
            if reply.status != 200:
                await _end_of_logs(standing.child)
                logs = _logs(standing.child)
            self._reports.on_initialized(order.container, reply, logs, time.monotonic())

    async def _run(self, order: Run, standing: _Standing) -> None:
        for stream in (standing.child.stdout, standing.child.stderr):
            stream.begin(order.most_log_bytes)
        reply = await self._exchange(standing, "run", encoded(order.document))
        if reply is not None:
            await _end_of_logs(standing.child)
            self._reports.on_ran(order.container, reply, _logs(standing.child), time.monotonic())

    async def _exchange(self, standing: _Standing, operation: str, body: bytes) -> Reply | None:
        """Return what a container answers; None if it does not, and is ended for that."""
        fields = {"Content-Type": "application/json"}
        try:
            async with standing.session.post(f"http://container/{operation}", data=body, headers=fields) as response:
                received = bytearray()
                async for part in response.content.iter_any():
                    received += part
                    if len(received) > self._place.most_result_bytes:
                        return Reply(response.status, bytes(received), is_whole=False)
                return Reply(response.status, bytes(received))
        except (aiohttp.ClientError, ConnectionError, ValueError):
            try:
                await asyncio.wait_for(standing.ended.wait(), _EXIT_WAIT_S)
            except asyncio.TimeoutError:
                standing.failure = Failure.NO_ANSWER
                self._sandbox.kill(standing.container, standing.child.pid)
            return None


async def _end_of_logs(child: Child) -> None:
    until_s = time.monotonic() + _LOGS_WAIT_S
    for stream in (child.stdout, child.stderr):
        await stream.wait(max(0.0, until_s - time.monotonic()))


def _logs(child: Child) -> tuple[str, ...]:
    return tuple(sorted([*child.stdout.take(), *child.stderr.take()], key=lambda line: line.partition(" ")[0]))
