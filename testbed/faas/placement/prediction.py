"""The time until a user has an answer from a cluster, predicted in the parts in which it is measured later.

Formulas from queueing theory: while all c containers are busy, each of time s, one becomes free every s / c (M/M/c, the
departures of c busy servers); the function's own requests wait for each other as in a settled M/M/c queue, by
Sakasegawa's approximation (`testbed.queueing`); on processors that others use, too, a run is stretched as a stay in
M/M/c is, which by Little's law is the mean under processor sharing as well. The times on the network are `transfer`'s.

What is not known costs nothing: whoever compares clusters completes their views before (`views.completed`).
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.faas.placement.function import Demand, Function
from testbed.faas.placement.transfer import exchange_ms, transfer_ms
from testbed.faas.placement.views import ClusterView
from testbed.queueing.stationary import stationary_wait

_MOST_CPU_USED = 0.99
_EXCHANGES = 2  # to connect, and to ask


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """The parts of an answer's time, in ms. `is_refused`: the queue is full, so there would be no answer.

    `delivery_ms`: of what the cluster lacks of the function, from the repository. `start_ms`: of a container, with its
    code. `path_ms`: between user and cluster, connection, request and answer. `wait_ms`: for a container that is free.
    `run_ms`: of the function itself. The first two are for the first answer; those that follow are spared them.
    """

    delivery_ms: float = 0.0
    start_ms: float = 0.0
    path_ms: float = 0.0
    wait_ms: float = 0.0
    run_ms: float = 0.0
    is_refused: bool = False

    @property
    def first_ms(self) -> float:
        """All parts: until the first answer."""
        return self.delivery_ms + self.start_ms + self.next_ms

    @property
    def next_ms(self) -> float:
        """The parts of an answer of a function that is there and warm."""
        return self.path_ms + self.wait_ms + self.run_ms


def answer_time(function: Function, view: ClusterView, demand: Demand) -> AnswerTime:
    """Return the time of an answer to a user of the site that a view is from."""
    run_ms = _run_ms(function, view)
    ahead = _ahead(function, view)
    return AnswerTime(
        delivery_ms=_delivery_ms(function, view),
        start_ms=_start_ms(function, view),
        path_ms=_path_ms(function, view),
        wait_ms=max(ahead * run_ms / _workers(function, view), _settled_wait_ms(function, view, demand, run_ms)),
        run_ms=run_ms,
        is_refused=view.queue is not None and ahead > view.queue,
    )


def _delivery_ms(function: Function, view: ClusterView) -> float:
    missing_bytes = 0 if view.holds(function.name) else function.missing_bytes(view.blobs)
    if missing_bytes == 0:
        return 0.0
    return _EXCHANGES * exchange_ms(view.from_repository) + transfer_ms(view.from_repository, missing_bytes)


def _start_ms(function: Function, view: ClusterView) -> float:
    if view.warm.get(function.name, 0) > 0:
        return 0.0
    if view.prewarmed.get(function.kind, 0) > 0:
        return function.init_ms
    return function.start_ms + function.init_ms


def _path_ms(function: Function, view: ClusterView) -> float:
    sent_ms = sum(transfer_ms(view.from_user, size) for size in (function.request_bytes, function.answer_bytes))
    return _EXCHANGES * exchange_ms(view.from_user) + sent_ms


def _run_ms(function: Function, view: ClusterView) -> float:
    measured_ms = view.run_ms.get(function.name)
    if measured_ms is not None:
        return measured_ms
    processors = max(1, int(view.processors or 1))
    used = min(_MOST_CPU_USED, view.cpu_used or 0.0)
    return function.run_ms * (1 + stationary_wait(processors, used))


def _ahead(function: Function, view: ClusterView) -> int:
    """Return how many containers have to become free before a request that comes now has one."""
    room = [view.slots - (view.running or 0)] if view.slots is not None else []
    room += [view.free_memory_mb // function.memory_mb] if view.free_memory_mb is not None else []
    return max(0, (view.waiting or 0) + view.assigned + 1 - max(0, min(room, default=1)))


def _workers(function: Function, view: ClusterView) -> int:
    """Return how many containers of the function a cluster may have."""
    most = [view.slots] if view.slots is not None else []
    most += [view.memory_mb // function.memory_mb] if view.memory_mb is not None else []
    return max(1, min(most, default=1))


def _settled_wait_ms(function: Function, view: ClusterView, demand: Demand, run_ms: float) -> float:
    """Return how long the function's own requests wait for each other; an overloaded queue grows for the horizon."""
    workers = _workers(function, view)
    utilisation = demand.rate_per_s * run_ms / 1e3 / workers
    horizon_ms = demand.horizon_s * 1e3
    if utilisation >= 1:
        return horizon_ms * utilisation
    return min(horizon_ms, run_ms * stationary_wait(workers, utilisation)) if utilisation > 0 else 0.0
