"""A function as whoever places it knows it, and how much it is wanted from one site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """What a function needs. Times are those on a processor that nothing else uses, until a cluster has measured them.

    `blobs`: bytes by digest, of code and layers. `start_ms`: until a container waits for code; `init_ms`: until it has
    taken the code in. `replicas`: how many clusters are to hold it for the users of one site.
    Raises ValueError for a function that needs no memory, or is to be nowhere.
    """

    name: str
    kind: str
    memory_mb: int
    blobs: Mapping[str, int]
    start_ms: float
    init_ms: float
    run_ms: float
    request_bytes: int = 0
    answer_bytes: int = 0
    replicas: int = 1

    def __post_init__(self) -> None:
        if self.memory_mb < 1 or self.replicas < 1:
            raise ValueError(f"function {self.name!r}: memory_mb and replicas must be at least 1")

    def missing_bytes(self, held: frozenset[str]) -> int:
        """Return how many bytes whoever holds these blobs lacks."""
        return sum(size for digest, size in self.blobs.items() if digest not in held)


@dataclass(frozen=True, slots=True)
class Demand:
    """How often users of a site ask for a function, and how far ahead a placement is meant to pay."""

    rate_per_s: float
    horizon_s: float

    @property
    def requests(self) -> float:
        """The requests over which a delivery pays: those within the horizon, one at least."""
        return max(1.0, self.rate_per_s * self.horizon_s)
