"""What of a cluster's containers is in use, and how long runs take there: what whoever places functions has to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from testbed.faas.activations.outcome import Status
from testbed.faas.pool.container import Container, State
from testbed.faas.pool.work import Finished

_WEIGHT = 0.2  # of the last run in the mean
_ANSWERED = (Status.SUCCESS, Status.APPLICATION_ERROR)


@dataclass(frozen=True)
class Usage:
    """Containers that work, with their memory, and those that wait: for code by their kind, for a run by function.

    One that waits makes room where its memory or slot is needed. `run_s`: how long a run takes on average, by function.
    """

    busy: int
    busy_memory_mb: int
    prewarmed: Mapping[str, int]
    warm: Mapping[str, int]
    run_s: Mapping[str, float]


def usage_of(containers: Iterable[Container], run_s: Mapping[str, float]) -> Usage:
    """Return what of some containers is in use; those being stopped are, until they have ended."""
    busy, busy_memory_mb = 0, 0
    prewarmed: Counter[str] = Counter()
    warm: Counter[str] = Counter()
    for container in containers:
        if not container.is_free:
            busy, busy_memory_mb = busy + 1, busy_memory_mb + container.shape.memory_mb
        elif container.state is State.PREWARMED:
            prewarmed[container.shape.kind] += 1
        elif container.revision is not None and not container.is_retired:
            warm[container.revision.name] += 1
    return Usage(busy, busy_memory_mb, prewarmed, warm, dict(run_s))


class RunTimes:
    """How long a run of each function takes on average, the last ones counting most."""

    def __init__(self) -> None:
        self.means_s: dict[str, float] = {}

    def note(self, finished: Finished) -> None:
        """Take in an activation that is over, if its function answered."""
        work = finished.work
        if work.began_s is None or finished.outcome.status not in _ANSWERED:
            return
        run_s = max(0.0, finished.ended_s - work.began_s - (work.init_s or 0.0))
        mean_s = self.means_s.get(work.action.name, run_s)
        self.means_s[work.action.name] = mean_s + _WEIGHT * (run_s - mean_s)

    def forget(self, name: str) -> None:
        """Another function has the name, or none."""
        self.means_s.pop(name, None)
