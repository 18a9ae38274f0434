"""What is reported about a service instance: its state, its raw figures, its scores.

The three levels of the CATS metric definition: L0, raw figures with units (`RawMetrics`); L1, one octet 0-10 per
category, and L2, one octet 0-10 overall (`Scores`). How scores come about is `normalisation`'s business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

BEST_SCORE = 10


class State(IntEnum):
    """Whether an instance takes new flows."""

    DOWN = 0
    UP = 1
    DRAINING = 2


@dataclass(frozen=True)
class RawMetrics:
    """L0 metrics of one service instance.

    `utilisation` is the busy share of worker time (0..1), `sessions_started` counts since the instance began.
    `cpu_utilisation` is the used share (0..1) of the CPU that the instance may use, `memory_bytes` what it holds,
    `throughput_bps` the busier direction of its network interfaces, `capacity_per_s` the jobs it could serve. Of these,
    and of limits, 0 means unknown or none.
    """

    workers: int
    busy_workers: int = 0
    queue_length: int = 0
    queue_limit: int = 0
    sessions: int = 0
    sessions_started: int = 0
    utilisation: float = 0.0
    service_time_s: float = 0.0
    cpu_utilisation: float = 0.0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    capacity_per_s: float = 0.0
    throughput_bps: float = 0.0

    def __post_init__(self) -> None:
        counts = (
            self.workers,
            self.busy_workers,
            self.queue_length,
            self.queue_limit,
            self.sessions,
            self.sessions_started,
            self.memory_bytes,
            self.memory_limit_bytes,
        )
        if min(counts) < 0 or self.workers == 0:
            raise ValueError(f"counts must be >= 0 and workers >= 1, not {counts}")
        measures = (
            self.utilisation,
            self.service_time_s,
            self.cpu_utilisation,
            self.capacity_per_s,
            self.throughput_bps,
        )
        if not (all(map(math.isfinite, measures)) and min(measures) >= 0):
            raise ValueError(f"utilisation and other measures must be finite and >= 0, not {measures}")
        if self.utilisation > 1 or self.cpu_utilisation > 1:
            raise ValueError(f"shares must be 0..1, not {self.utilisation:g} and {self.cpu_utilisation:g}")

    @property
    def free_room(self) -> float:
        """The free share of the waiting room, 0..1; without one, whether a worker is free."""
        if self.queue_limit == 0:
            return 1.0 if self.busy_workers < self.workers else 0.0
        return 1.0 - min(1.0, self.queue_length / self.queue_limit)

    @property
    def memory_utilisation(self) -> float:
        """The share of the memory it may use, 0..1; 0 without a limit."""
        return min(1.0, self.memory_bytes / self.memory_limit_bytes) if self.memory_limit_bytes else 0.0


# What thresholds and normalisations may name: the fields, and what follows from them.
FIGURES = (*(field.name for field in fields(RawMetrics)), "free_room", "memory_utilisation")


class Scores(NamedTuple):
    """L1 scores by category (None: not scored) and the L2 score; 0..10, higher is better."""

    computing: int | None = None
    communication: int | None = None
    service: int | None = None
    overall: int = 0

    def category_columns(self) -> dict[str, int | None]:
        """Return the L1 scores by the columns that tables have for them."""
        return {
            "computing_score": self.computing,
            "communication_score": self.communication,
            "service_score": self.service,
        }


UNSCORED = Scores()
