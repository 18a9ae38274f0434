"""Functions at clusters: the states of each copy, and which may follow which.

Owns orders that are under way and when a failed one may be repeated. Knows nothing of users and policies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from testbed.faas.cluster_client.settings import ClientSettings


class State(Enum):
    """What is the case with a function at a cluster, as far as this cluster client knows."""

    ABSENT = auto()
    DELIVERING = auto()
    HELD = auto()
    REMOVING = auto()
    FAILED = auto()  # its last order failed; there is a pause before the next


class Event(Enum):
    """What happens to a copy."""

    DELIVER = auto()
    DELIVERED = auto()
    NOT_DELIVERED = auto()
    REMOVE = auto()
    REMOVED = auto()
    NOT_REMOVED = auto()
    RETRY = auto()  # the pause is over
    FOUND = auto()  # the cluster reports that it holds the function
    LOST = auto()  # it reports that it does not


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.ABSENT, Event.DELIVER): State.DELIVERING,
    (State.ABSENT, Event.FOUND): State.HELD,
    (State.DELIVERING, Event.DELIVERED): State.HELD,
    (State.DELIVERING, Event.NOT_DELIVERED): State.FAILED,
    (State.HELD, Event.REMOVE): State.REMOVING,
    (State.HELD, Event.LOST): State.ABSENT,
    (State.REMOVING, Event.REMOVED): State.ABSENT,
    (State.REMOVING, Event.NOT_REMOVED): State.FAILED,  # nobody knows whether it is there: no user is sent there
    (State.FAILED, Event.RETRY): State.ABSENT,
    (State.FAILED, Event.FOUND): State.HELD,
}


@dataclass
class Copy:
    """A function at a cluster. `due_s`: when its order is given up, or when a failed one may be repeated.

    `is_pinned`: it was put there by whoever configured the cluster, and is never removed.
    """

    function: str
    cluster: str
    since_s: float = -math.inf
    state: State = State.ABSENT
    order: int | None = None
    due_s: float | None = None
    failures: int = 0
    failure: str = ""
    used_s: float = 0.0
    is_pinned: bool = False

    def can(self, event: Event) -> bool:
        """Return whether an event can happen to it now."""
        return (self.state, event) in TRANSITIONS

    def end_pause(self, now_s: float) -> None:
        """Be absent again, if the pause after a failure is over."""
        if self.state is State.FAILED and self.due_s is not None and self.due_s <= now_s:
            self.step(Event.RETRY, now_s)

    def step(self, event: Event, now_s: float, *, order: int | None = None, due_s: float | None = None) -> None:
        """Go to the state that follows."""
        self.state = TRANSITIONS[self.state, event]
        self.since_s, self.order, self.due_s = now_s, order, due_s
        if self.state is State.HELD:
            self.failures, self.failure, self.used_s = 0, "", max(self.used_s, now_s)


class Copies:
    """All copies, by function and cluster, and by the order that is under way."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._copies: dict[tuple[str, str], Copy] = {}
        self._by_order: dict[int, Copy] = {}
        self._last_order = 0

    def get(self, function: str, cluster: str, now_s: float) -> Copy:
        """Return the copy of a function at a cluster; one whose pause is over is absent."""
        copy = self._copies.get((function, cluster))
        if copy is None:
            copy = self._copies[function, cluster] = Copy(function, cluster)
        copy.end_pause(now_s)
        return copy

    def pin(self, function: str, cluster: str, now_s: float) -> None:
        """Note that a function was put at a cluster by other means, and stays there."""
        copy = self.get(function, cluster, now_s)
        copy.is_pinned = True
        copy.step(Event.FOUND, now_s)

    def order(self, copy: Copy, event: Event, now_s: float) -> int:
        """Begin a delivery or a removal; return the number of its order."""
        within_s = self._settings.delivery_s if event is Event.DELIVER else self._settings.removal_s
        self._last_order += 1
        copy.step(event, now_s, order=self._last_order, due_s=now_s + within_s)
        self._by_order[self._last_order] = copy
        return self._last_order

    def finish(self, order: int, event: Event, now_s: float, failure: str = "") -> Copy | None:
        """Take in what became of an order; None, and nothing changes, if that is over or of another kind."""
        copy = self._by_order.get(order)
        if copy is None or not copy.can(event):
            return None
        del self._by_order[order]
        if event in (Event.NOT_DELIVERED, Event.NOT_REMOVED):
            copy.failures += 1
            copy.failure = failure
            copy.step(event, now_s, due_s=now_s + self._settings.pause_after_s(copy.failures))
        else:
            copy.step(event, now_s)
        return copy

    def report(self, function: str, cluster: str, *, is_held: bool, known_s: float, now_s: float) -> bool:
        """Take in what a cluster reports, if it was measured after what is known; return whether that changed."""
        if is_held:
            copy = self.get(function, cluster, now_s)
        elif (known := self._copies.get((function, cluster))) is None:
            return False
        else:
            copy = known
        event = Event.FOUND if is_held else Event.LOST
        if known_s - self._settings.report_lag_s <= copy.since_s or not copy.can(event):
            return False
        copy.step(event, now_s)
        return True

    def overdue(self, now_s: float) -> list[tuple[int, Event]]:
        """Return the orders that are given up, each with what is to be taken in of it."""
        ended = {State.DELIVERING: Event.NOT_DELIVERED, State.REMOVING: Event.NOT_REMOVED}
        late = [
            (order, copy) for order, copy in self._by_order.items() if copy.due_s is not None and copy.due_s <= now_s
        ]
        return [(order, ended[copy.state]) for order, copy in late]

    def next_deadline_s(self) -> float | None:
        """Return when the next order is given up."""
        return min((copy.due_s for copy in self._by_order.values() if copy.due_s is not None), default=None)

    def end_pauses(self, now_s: float) -> None:
        """Have copies be absent again whose pause after a failure is over."""
        for copy in self._copies.values():
            copy.end_pause(now_s)

    def pauses_s(self, function: str) -> list[float]:
        """Return when a function may be delivered again to clusters where that failed."""
        return [copy.due_s for copy in self.of(function) if copy.state is State.FAILED and copy.due_s is not None]

    def of(self, function: str) -> Iterator[Copy]:
        """Yield the copies of a function, whatever their state."""
        return (copy for copy in self._copies.values() if copy.function == function)

    def all(self) -> Iterator[Copy]:
        """Yield all copies."""
        yield from self._copies.values()
