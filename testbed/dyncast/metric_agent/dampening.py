"""Route flap damping (RFC 2439) for bindings: what changes again and again is suppressed until it has calmed.

In the words of the RFC: each change adds 1 to a *figure of merit*, which decays by half every *half-life*. Above the
*cutoff threshold* (the key `suppress`) a binding is suppressed, until the figure is below the *reuse threshold* (the
key `reuse`). A ceiling on the figure bounds how long a binding stays suppressed that changes no more. What follows from
suppression is in `update_triggers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from testbed.dyncast.messages.reports import BindingReport


@dataclass(frozen=True)
class Dampening:
    """The parameters of RFC 2439, in changes; a binding is suppressed for at most `max_suppress_s` after its last."""

    half_life_s: float
    """The figure of merit halves in this time."""
    suppress: float
    """The cutoff threshold: above it, changes wait."""
    reuse: float
    """The reuse threshold: below it, they no longer do."""
    max_suppress_s: float
    """They wait no longer than this after the last change."""

    def __post_init__(self) -> None:
        if not 0 < self.reuse < self.suppress:
            raise ValueError(f"reuse must be > 0 and below suppress, not {self.reuse:g} and {self.suppress:g}")
        if not (0 < self.half_life_s < math.inf and self.max_suppress_s < math.inf):
            raise ValueError("half_life_s must be > 0, and both it and max_suppress_s finite")
        least_s = self.half_life_s * math.log2(self.suppress / self.reuse)
        if self.max_suppress_s <= least_s:
            raise ValueError(f"max_suppress_s must be above {least_s:g} s, the time from suppress to reuse")

    @property
    def ceiling(self) -> float:
        """The figure of merit that decays to `reuse` in `max_suppress_s`; more is not kept."""
        return self.reuse * 2 ** min(1000.0, self.max_suppress_s / self.half_life_s)


class FigureOfMerit:
    """How much a binding has changed recently."""

    def __init__(self, dampening: Dampening) -> None:
        self._dampening = dampening
        self._value = 0.0
        self._as_of_s = -math.inf
        self._suppressed = False

    def add(self, now_s: float) -> None:
        """Count a change."""
        self._value = min(self._dampening.ceiling, self.value(now_s) + 1)
        self._as_of_s = max(self._as_of_s, now_s)
        self._suppressed = self._suppressed or self._value > self._dampening.suppress

    def value(self, now_s: float) -> float:
        """Return the figure."""
        return self._value * 2 ** (min(0.0, self._as_of_s - now_s) / self._dampening.half_life_s)

    def is_suppressed(self, now_s: float) -> bool:
        """Return whether it passed the cutoff threshold, and has not come down to the reuse threshold."""
        self._suppressed = self._suppressed and self.value(now_s) >= self._dampening.reuse
        return self._suppressed


Change = Callable[[BindingReport, BindingReport, int], int]
"""From a report and a later one, and the direction of the last change, to +1 or -1 for a change worth reporting."""


class DampedBinding:
    """The changes of one binding, counted as they are observed. Without `dampening`, it is never suppressed."""

    def __init__(self, dampening: Dampening | None, change: Change) -> None:
        self._merit = FigureOfMerit(dampening) if dampening else None
        self._change = change
        # As of the last change that was counted: one that is suppressed must not count again at each observation.
        self._counted: BindingReport | None = None
        self._direction = 0

    def observe(self, seen: BindingReport, now_s: float) -> None:
        """Count a change, if this is one."""
        if self._merit is None:
            return
        if self._counted is None:
            self._counted = seen
            return
        change = self._change(self._counted, seen, self._direction)
        if change or seen.state is not self._counted.state:
            self._merit.add(now_s)
            self._counted, self._direction = seen, change or self._direction

    def is_suppressed(self, now_s: float) -> bool:
        """Return whether changes have to wait."""
        return self._merit is not None and self._merit.is_suppressed(now_s)
