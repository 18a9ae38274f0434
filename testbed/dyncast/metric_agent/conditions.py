"""When figures differ enough from those last reported: by a threshold, or by the band that a score is in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from testbed.dyncast.messages.reports import BindingReport
from testbed.dyncast.metrics.levels import BEST_SCORE, FIGURES


@dataclass(frozen=True)
class Threshold:
    """A figure that moved by `absolute`, or by the share `relative` of what was reported.

    A move back on the one before must be larger by `hysteresis_share`. Relative to 0, every move counts.
    """

    metric: str
    """The raw metric."""
    absolute: float | None = None
    """A move by so much since it was reported."""
    relative: float | None = None
    """A move by this share of what was reported."""
    hysteresis_share: float = 0.0
    """A move back on the one before must be larger by this share."""

    def __post_init__(self) -> None:
        if self.metric not in FIGURES:
            raise ValueError(f"metric {self.metric!r} does not exist; there are: {', '.join(FIGURES)}")
        limits = [limit for limit in (self.absolute, self.relative) if limit is not None]
        if not limits or not all(0 < limit < math.inf for limit in limits):
            raise ValueError("threshold needs absolute or relative, or both, each > 0")
        if not 0 <= self.hysteresis_share < math.inf:
            raise ValueError(f"hysteresis_share must be >= 0, not {self.hysteresis_share:g}")

    def change(self, reported: BindingReport, seen: BindingReport, direction: int) -> int:
        """Return +1 or -1 for a move up or down worth reporting, else 0; `direction` is that of the last one."""
        if reported.raw is None or seen.raw is None:
            return 0
        before, now = getattr(reported.raw, self.metric), getattr(seen.raw, self.metric)
        turn = 1 if now > before else -1
        moved = abs(now - before)
        stretch = 1 + self.hysteresis_share if turn == -direction else 1
        is_far = (self.absolute is not None and moved >= self.absolute * stretch) or (
            self.relative is not None and moved >= self.relative * abs(before) * stretch
        )
        return turn if moved and is_far else 0


@dataclass(frozen=True)
class Band:
    """An L2 score that left its band by more than `hysteresis_points`; each of `edges` is where a band begins.

    The edges unless stated are those of the CATS metric definition: 0-3 low, 4-7 medium, 8-10 high.
    """

    edges: tuple[int, ...] = (4, 8)
    """Scores at which bands begin."""
    hysteresis_points: int = 0
    """A score leaves its band when it is more than so many points outside."""

    def __post_init__(self) -> None:
        if not self.edges or list(self.edges) != sorted({edge for edge in self.edges if 1 <= edge <= BEST_SCORE}):
            raise ValueError(f"edges must rise within 1..{BEST_SCORE}, not {list(self.edges)}")
        if self.hysteresis_points < 0:
            raise ValueError(f"hysteresis_points must be >= 0, not {self.hysteresis_points}")

    def change(self, reported: BindingReport, seen: BindingReport, direction: int) -> int:  # noqa: ARG002
        """Return +1 or -1 for a score that is in a higher or lower band, else 0."""
        first = max((edge for edge in self.edges if edge <= reported.score), default=0)
        above = min((edge for edge in self.edges if edge > reported.score), default=BEST_SCORE + 1)
        if seen.score < first - self.hysteresis_points:
            return -1
        return 1 if seen.score >= above + self.hysteresis_points else 0
