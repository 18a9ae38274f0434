"""The container pool: which container an activation gets, and what to do where there is none.

Owns containers, slots and memory, and the queue. An activation takes a container that holds its code (warm), else one
of its runtime that waits for code (prewarmed), else a new one (cold), for which containers that are free are stopped,
the one unused for longest first. Whatever was submitted is finished some day: every state of a container has a
deadline, or ends by a report of the adapter. Knows nothing of requests, nor how a container is started.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import TestbedError
from testbed.faas.activations import outcome as outcomes
from testbed.faas.activations.activation import Start
from testbed.faas.activations.outcome import Failure, Outcome, Reply
from testbed.faas.orders import Initialize, Order, Run, StartContainer, StopContainer
from testbed.faas.pool.container import Container, Event, Shape, State
from testbed.faas.pool.work import Finished, Work

_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 5.0  # then an activation does not wait any longer for the logs of its container
_PATIENCE_S = 1.0  # then an activation that waits for memory comes before all that was submitted later
_PREWARM_PAUSE_S = 5.0  # after a container of its shape could not be started


class QueueFullError(TestbedError):
    """There is no container for an activation, and no place left in the queue."""


@dataclass(frozen=True)
class PoolSettings:
    """How much a pool may hold. `prewarmed`: how many containers of a shape wait for code."""

    memory_mb: int = 2048
    slots: int = 16
    queue: int = 256
    keep_alive_s: float = 600.0
    queue_wait_s: float = 60.0
    prewarmed: Mapping[Shape, int] = field(default_factory=dict)


Documents = Callable[[Work], Mapping[str, Any]]


class Pool:
    """The containers of one cluster. `init_of`, `run_of`: what a container receives for an activation."""

    def __init__(
        self, settings: PoolSettings, init_of: Documents, run_of: Callable[[Work, float], Mapping[str, Any]]
    ) -> None:
        self._settings = settings
        self._init_of = init_of
        self._run_of = run_of
        self._containers: dict[int, Container] = {}
        self._queue: deque[Work] = deque()
        self._orders: list[Order] = []
        self._finished: list[Finished] = []
        self._last_number = 0
        self._paused_until_s: dict[Shape, float] = {}
        self._is_closed = False
        self.starts: Counter[Start] = Counter()

    # What comes in ------------------------------------------------------------------------------------------------

    def begin(self, now_s: float) -> None:
        """Start what is to be prewarmed."""
        self._settle(now_s)

    def submit(self, work: Work, now_s: float) -> None:
        """Take in an activation. Raises QueueFullError."""
        if self._is_closed:
            raise QueueFullError("the cluster is being stopped")
        self._queue.append(work)
        self._settle(now_s)
        if len(self._queue) > self._settings.queue and self._queue[-1] is work:
            self._queue.pop()
            raise QueueFullError(f"all containers are busy, and {self._settings.queue} activations wait already")

    def on_started(self, number: int, now_s: float) -> None:
        """A container's runtime waits for code."""
        container = self._that_can(number, Event.STARTED)
        if container is None:
            return
        container.step(Event.STARTED, now_s)
        if container.work is not None:
            self._init(container, container.work, now_s)
        self._settle(now_s)

    def on_initialized(self, number: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /init."""
        container = self._that_can(number, Event.INITIALIZED)
        if container is None or container.work is None:
            return
        work = container.work
        work.init_s = now_s - container.since_s
        failed = outcomes.of_init(reply)
        if failed is None:
            container.step(Event.INITIALIZED, now_s)
            self._run(container, work, now_s)
        else:
            self._finish(container, failed, now_s, logs)
            self._stop(container, now_s)
        self._settle(now_s)

    def on_ran(self, number: int, result: Outcome, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /run, and its logs are complete."""
        container = self._that_can(number, Event.RAN)
        if container is None:
            return
        self._finish(container, result, now_s, logs)
        container.step(Event.RAN, now_s, now_s + self._settings.keep_alive_s)
        if container.is_retired or self._is_closed:
            self._stop(container, now_s)
        self._settle(now_s)

    def on_ended(self, number: int, failure: Failure, detail: str, logs: tuple[str, ...], now_s: float) -> None:
        """A container is no more, whether it was to be stopped or not."""
        container = self._containers.pop(number, None)
        if container is None:
            return
        if container.work is not None:
            outcome = container.work.stopped_for or outcomes.failed(failure, detail)
            self._finish(container, outcome, now_s, logs)
        if failure is Failure.START:
            self._paused_until_s[container.shape] = now_s + _PREWARM_PAUSE_S
        self._settle(now_s)

    def on_timer(self, now_s: float) -> None:
        """Do what is due."""
        for container in list(self._containers.values()):
            if container.deadline_s is not None and container.deadline_s <= now_s:
                self._on_deadline(container, now_s)
        while self._queue and self._queue[0].queued_s + self._settings.queue_wait_s <= now_s:
            work = self._queue.popleft()
            self._finished.append(Finished(work, outcomes.failed(Failure.WAITED), now_s))
        for shape, until_s in list(self._paused_until_s.items()):
            if until_s <= now_s:
                del self._paused_until_s[shape]
        self._settle(now_s)

    def retire(self, name: str, now_s: float) -> None:
        """Stop the containers of an action that is no more, or another by now; what runs may end."""
        for container in list(self._containers.values()):
            if container.revision is not None and container.revision.name == name:
                container.is_retired = True
                if container.is_free:
                    self._stop(container, now_s)
        self._settle(now_s)

    def close(self, now_s: float) -> None:
        """Stop everything; all activations are over, or end with their containers."""
        self._is_closed = True
        for work in self._queue:
            self._finished.append(Finished(work, outcomes.failed(Failure.STOPPED), now_s))
        self._queue.clear()
        for container in list(self._containers.values()):
            if container.state is not State.STOPPING:
                self._stop(container, now_s, outcomes.failed(Failure.STOPPED))

    # What goes out ------------------------------------------------------------------------------------------------

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next; None: not until something happens."""
        due_s = [item.deadline_s for item in self._containers.values() if item.deadline_s is not None]
        if self._queue:
            due_s.append(self._queue[0].queued_s + self._settings.queue_wait_s)
        due_s += self._paused_until_s.values()
        return min(due_s, default=None)

    def take_orders(self) -> list[Order]:
        """Return the orders since the last call."""
        orders, self._orders = self._orders, []
        return orders

    def take_finished(self) -> list[Finished]:
        """Return the activations that ended since the last call."""
        finished, self._finished = self._finished, []
        return finished

    @property
    def memory_mb(self) -> int:
        """The memory of all containers, those that are being stopped included."""
        return sum(container.shape.memory_mb for container in self._containers.values())

    @property
    def busy(self) -> int:
        """How many containers do something for an activation."""
        return sum(container.work is not None for container in self._containers.values())

    @property
    def waiting(self) -> int:
        """How many activations wait in the queue."""
        return len(self._queue)

    def count(self) -> dict[str, int]:
        """Return how many containers are in each state."""
        counted = Counter(container.state for container in self._containers.values())
        return {state.name.lower(): counted[state] for state in State}

    def layers_in_use(self) -> set[str]:
        """Return the layers that containers have, those that are being stopped included."""
        return {layer for container in self._containers.values() for layer in container.shape.layers}

    def containers(self) -> Iterator[Container]:
        """Yield the containers, to be looked at."""
        yield from self._containers.values()

    # Placing ------------------------------------------------------------------------------------------------------

    def _settle(self, now_s: float) -> None:
        if not self._is_closed:
            self._serve_queue(now_s)
            self._prewarm(now_s)

    def _serve_queue(self, now_s: float) -> None:
        """Place what waits, in its order. Who needs memory that is not there yet lets the others pass, for a while."""
        waiting, self._queue = self._queue, deque()
        is_blocked = False
        while waiting:
            work = waiting.popleft()
            if self._place(work, now_s, may_start=not is_blocked):
                continue
            self._queue.append(work)
            if not is_blocked:
                is_blocked = True
                self._make_room(work.action.limits.memory_mb, now_s)
                if now_s - work.queued_s > _PATIENCE_S:
                    break
        self._queue += waiting

    def _place(self, work: Work, now_s: float, *, may_start: bool) -> bool:
        shape = Shape.of(work.action)
        container = self._latest(lambda item: item.state is State.IDLE and item.revision == work.action.revision)
        if container is not None:
            self._bind(container, work, Start.WARM, now_s)
            self._run(container, work, now_s)
            return True
        container = self._latest(lambda item: item.state is State.PREWARMED and item.shape == shape)
        if container is not None:
            self._bind(container, work, Start.PREWARMED, now_s)
            self._init(container, work, now_s)
            return True
        if not may_start or not self._has_room(shape.memory_mb):
            return False
        self._bind(self._start(shape, now_s), work, Start.COLD, now_s)
        return True

    def _latest(self, fits: Callable[[Container], bool]) -> Container | None:
        """Return the free container that was used last: the others may then grow old, and be stopped."""
        free = [item for item in self._containers.values() if item.is_free and fits(item)]
        return max(free, key=lambda item: item.since_s, default=None)

    def _bind(self, container: Container, work: Work, start: Start, now_s: float) -> None:
        container.work, work.start, work.bound_s = work, start, now_s
        self.starts[start] += 1

    def _has_room(self, memory_mb: int) -> bool:
        return self.memory_mb + memory_mb <= self._settings.memory_mb and len(self._containers) < self._settings.slots

    def _make_room(self, memory_mb: int, now_s: float) -> None:
        """Stop free containers until there will be room; none if that would not do."""
        lasting = [item for item in self._containers.values() if item.state is not State.STOPPING]
        free_mb = self._settings.memory_mb - sum(item.shape.memory_mb for item in lasting)
        free_slots = self._settings.slots - len(lasting)
        chosen: list[Container] = []
        for container in sorted((item for item in lasting if item.is_free), key=lambda item: item.since_s):
            if free_mb >= memory_mb and free_slots >= 1:
                break
            chosen.append(container)
            free_mb += container.shape.memory_mb
            free_slots += 1
        if free_mb >= memory_mb and free_slots >= 1:
            for container in chosen:
                self._stop(container, now_s)

    def _prewarm(self, now_s: float) -> None:
        if self._queue:
            return
        for shape, wanted in self._settings.prewarmed.items():
            ready = sum(item.shape == shape and _awaits_code(item) for item in self._containers.values())
            while ready < wanted and shape not in self._paused_until_s and self._has_room(shape.memory_mb):
                self._start(shape, now_s)
                ready += 1

    # One container ------------------------------------------------------------------------------------------------

    def _start(self, shape: Shape, now_s: float) -> Container:
        self._last_number += 1
        container = Container(self._last_number, shape, now_s, deadline_s=now_s + _START_LIMIT_S)
        self._containers[container.number] = container
        self._orders.append(StartContainer(container.number, shape.kind, shape.layers, shape.memory_mb))
        return container

    def _init(self, container: Container, work: Work, now_s: float) -> None:
        container.revision = work.action.revision
        container.step(Event.INIT, now_s, now_s + work.action.limits.timeout_ms / 1000)
        work.began_s = now_s
        self._orders.append(Initialize(container.number, self._init_of(work)))

    def _run(self, container: Container, work: Work, now_s: float) -> None:
        deadline_s = now_s + work.action.limits.timeout_ms / 1000
        container.step(Event.RUN, now_s, deadline_s)
        if work.began_s is None:
            work.began_s = now_s
        log_bytes = work.action.limits.logs_mb << 20
        self._orders.append(Run(container.number, self._run_of(work, deadline_s), log_bytes))

    def _stop(self, container: Container, now_s: float, outcome: Outcome | None = None) -> None:
        """Stop a container; what runs in it ends with that outcome, once its logs are here."""
        deadline_s = None
        if container.work is not None:
            container.work.stopped_for = outcome
            deadline_s = now_s + _STOP_LIMIT_S
        container.step(Event.STOP, now_s, deadline_s)
        self._orders.append(StopContainer(container.number))

    def _finish(self, container: Container, outcome: Outcome, now_s: float, logs: tuple[str, ...] = ()) -> None:
        work, container.work = container.work, None
        if work is not None:
            self._finished.append(Finished(work, outcome, now_s, logs))

    def _on_deadline(self, container: Container, now_s: float) -> None:
        work = container.work
        if container.state is State.STOPPING:
            container.deadline_s = None
            if work is not None:
                self._finish(container, work.stopped_for or outcomes.failed(Failure.EXITED), now_s)
        elif work is not None and container.state in (State.INITIALIZING, State.RUNNING):
            work.has_timed_out = True
            is_init = container.state is State.INITIALIZING
            self._stop(container, now_s, outcomes.timed_out(work.action.limits, is_init=is_init))
        else:
            if container.state is State.STARTING:
                self._paused_until_s[container.shape] = now_s + _PREWARM_PAUSE_S
            self._stop(container, now_s, outcomes.failed(Failure.START, "it took too long"))

    def _that_can(self, number: int, event: Event) -> Container | None:
        container = self._containers.get(number)
        return container if container is not None and container.can(event) else None


def _awaits_code(container: Container) -> bool:
    return container.work is None and container.state in (State.STARTING, State.PREWARMED)
