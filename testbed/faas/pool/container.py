"""A container as the pool sees it: its states, and which may follow which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from testbed.faas.actions.action import Action, Revision

if TYPE_CHECKING:
    from testbed.faas.pool.work import Work


class State(Enum):
    """What a container is doing."""

    STARTING = auto()
    PREWARMED = auto()  # its runtime waits for code
    INITIALIZING = auto()
    IDLE = auto()  # it holds code, and waits for a run
    RUNNING = auto()
    STOPPING = auto()  # it holds its memory until it has ended


class Event(Enum):
    """What happens to a container."""

    STARTED = auto()
    INIT = auto()
    INITIALIZED = auto()
    RUN = auto()
    RAN = auto()
    STOP = auto()


_TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.STARTING, Event.STARTED): State.PREWARMED,
    (State.PREWARMED, Event.INIT): State.INITIALIZING,
    (State.INITIALIZING, Event.INITIALIZED): State.IDLE,
    (State.IDLE, Event.RUN): State.RUNNING,
    (State.RUNNING, Event.RAN): State.IDLE,
    **{(state, Event.STOP): State.STOPPING for state in State if state is not State.STOPPING},
}


@dataclass(frozen=True)
class Shape:
    """What a container is made for: a runtime, layers, an amount of memory."""

    kind: str
    layers: tuple[str, ...]
    memory_mb: int

    @classmethod
    def of(cls, action: Action) -> Shape:
        """Return what an action needs."""
        return cls(action.code.kind, action.layers, action.limits.memory_mb)


@dataclass
class Container:
    """One container. `deadline_s`: when its present state has lasted too long (None: it may last)."""

    number: int
    shape: Shape
    since_s: float
    state: State = State.STARTING
    deadline_s: float | None = None
    revision: Revision | None = None
    work: Work | None = None
    is_retired: bool = False  # its action is no more, or another by now

    @property
    def is_free(self) -> bool:
        """Return whether it does nothing for anybody, and may be stopped."""
        return self.work is None and self.state in (State.PREWARMED, State.IDLE)

    def shown(self) -> dict[str, Any]:
        """Return what it is and does, for whoever looks at a cluster."""
        return {
            "container": self.number,
            "state": self.state.name.lower(),
            "function": None if self.revision is None else self.revision.name,
            "kind": self.shape.kind,
            "memory_mb": self.shape.memory_mb,
            "works": None if self.work is None else self.work.activation_id,
        }

    def can(self, event: Event) -> bool:
        """Return whether an event can happen to it now: reports of a container that is being stopped come late."""
        return (self.state, event) in _TRANSITIONS

    def step(self, event: Event, now_s: float, deadline_s: float | None = None) -> None:
        """Go to the state that follows."""
        self.state = _TRANSITIONS[self.state, event]
        self.since_s, self.deadline_s = now_s, deadline_s
