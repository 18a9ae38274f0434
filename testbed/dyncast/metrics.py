"""What is told about a service instance, on the three levels of the CATS metric definition.

L0: raw figures with units (`RawMetrics`). L1: one octet 0-10 per category. L2: one octet 0-10 overall.
Scores are unitless and higher is better. The formulas are part of the interface, for scores that nobody
can interpret are of no use (CATS metric definition, "On the Meaning of Scores"):

* compute (L1) = 10 x the share of worker time that was idle over the agent's window (min-max 1 → 0);
* service (L1) = 10 x the free share of the waiting room (min-max 0 → queue_limit);
* overall (L2) = the lesser of the two: an instance is as good as its scarcest resource.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

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
    """

    workers: int
    busy_workers: int = 0
    queue_length: int = 0
    queue_limit: int = 0
    sessions: int = 0
    sessions_started: int = 0
    utilisation: float = 0.0
    service_time_s: float = 0.0

    def __post_init__(self) -> None:
        counts = (
            self.workers,
            self.busy_workers,
            self.queue_length,
            self.queue_limit,
            self.sessions,
            self.sessions_started,
        )
        if any(count < 0 for count in counts) or self.workers == 0:
            raise ValueError(f"counts must be >= 0 and workers >= 1, not {counts}")
        if not (math.isfinite(self.utilisation) and math.isfinite(self.service_time_s)):
            raise ValueError("utilisation and service_time_s must be finite")
        if self.utilisation < 0 or self.service_time_s < 0:
            raise ValueError("utilisation and service_time_s must be >= 0")


def min_max(value: float, worst: float, best: float) -> float:
    """Map `worst`..`best` linearly to 0..1, clamped; `worst` may be above or below `best`."""
    if worst == best:
        return 1.0
    return min(1.0, max(0.0, (value - worst) / (best - worst)))


def sigmoid(value: float, midpoint: float, steepness: float) -> float:
    """Map any value smoothly to 0..1: 0.5 at `midpoint`; a negative `steepness` makes less be better."""
    exponent = max(-700.0, min(700.0, -steepness * (value - midpoint)))
    return 1.0 / (1.0 + math.exp(exponent))


def compute_score(raw: RawMetrics) -> int:
    """Return the L1 score of the category computing, 0..10."""
    return round(BEST_SCORE * min_max(raw.utilisation, worst=1.0, best=0.0))


def service_score(raw: RawMetrics) -> int:
    """Return the L1 score of the category service, 0..10."""
    if raw.queue_limit == 0:
        return BEST_SCORE if raw.busy_workers < raw.workers else 0
    return round(BEST_SCORE * min_max(raw.queue_length, worst=raw.queue_limit, best=0))


def overall_score(raw: RawMetrics) -> int:
    """Return the L2 score, 0..10."""
    return min(compute_score(raw), service_score(raw))
