"""What a cluster is to users of one of its functions: what may run at once, what is ahead, how long a run takes.

Pure. All functions of a cluster share its containers, so what is busy or waits is of all of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from testbed.faas.pool.pool import PoolSettings


@dataclass(frozen=True)
class FunctionLoad:
    """`containers` could run it at once; of these `busy` work, `waiting` activations wait in a `queue`.

    `in_flight`: all activations that are not over, `begun`: all that ever were. `run_s`: of the function, on average;
    None before the first. `is_held`: whether it may still be invoked; else what is in flight ends.
    """

    is_held: bool
    containers: int
    busy: int
    waiting: int
    queue: int
    in_flight: int
    begun: int
    run_s: float | None


def load_of(
    settings: PoolSettings, memory_mb: int | None, load: tuple[int, int, int], begun: int, run_s: float | None
) -> FunctionLoad:
    """Return it for a function whose container takes so much memory; None: it is not held any more."""
    busy, waiting, in_flight = load
    containers = settings.slots if memory_mb is None else min(settings.slots, settings.memory_mb // memory_mb)
    containers = max(1, containers)
    return FunctionLoad(
        memory_mb is not None, containers, min(busy, containers), waiting, settings.queue, in_flight, begun, run_s
    )


class InvocationCounts:
    """How many activations of each function are in flight; `begun`: how many there ever were, of all."""

    def __init__(self) -> None:
        self.begun = 0
        self._in_flight: Counter[str] = Counter()

    def begin(self, name: str) -> None:
        """An activation is taken in."""
        self.begun += 1
        self._in_flight[name] += 1

    def end(self, name: str) -> None:
        """It is over, or was refused after all."""
        self._in_flight[name] -= 1
        if not self._in_flight[name]:
            del self._in_flight[name]

    def in_flight(self, name: str) -> int:
        """Return how many of a function are in flight."""
        return self._in_flight[name]
