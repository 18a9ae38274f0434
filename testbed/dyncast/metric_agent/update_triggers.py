"""When a metric agent tells of a binding: at an interval, when a figure has moved, when a score left its band.

Owns the triggers, the dampening of what flaps, and what was last told of each binding; knows neither messages nor
sockets. The Dyncast architecture leaves open "when and how frequent such information should be exchanged", for metrics
change fast and signalling costs; CATS asks for the same trade-off.

* Soft state: everything is told at least every `refresh_s`, so that whoever missed a change learns of it and a binding
  nobody tells of expires. The way `interval` is this alone.
* A *trigger* (`Threshold`, `Band`) has a binding told of before that, when it differs enough from what was last told.
* An instance that goes down, drains or comes up is told of at once, whatever the way.
* *Dampening* (RFC 2439): each change adds 1 to a penalty that decays by half every `half_life_s`. Once it is above
  `suppress`, changes wait for the next refresh until it is below `reuse`. An instance that leaves the state up is told
  of all the same, but not that it came back: until then it is told of as draining.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from testbed.dyncast.messages.reports import BindingReport
from testbed.dyncast.metrics.levels import BEST_SCORE, FIGURES, State
from testbed.net.token_bucket import Rate

# D-Routers break the flows of an instance at the second report that it is down; so the second poll is told of, too.
_TIMES_DOWN_IS_TOLD = 2


@dataclass(frozen=True)
class Threshold:
    """A figure that moved by `absolute`, or by the share `relative` of what was told.

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

    def change(self, told: BindingReport, seen: BindingReport, direction: int) -> int:
        """Return +1 or -1 for a move up or down that is worth telling, else 0; `direction` is that of the last one."""
        if told.raw is None or seen.raw is None:
            return 0
        before, now = getattr(told.raw, self.metric), getattr(seen.raw, self.metric)
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

    def change(self, told: BindingReport, seen: BindingReport, direction: int) -> int:  # noqa: ARG002
        """Return +1 or -1 for a score that is in a higher or lower band, else 0."""
        first = max((edge for edge in self.edges if edge <= told.score), default=0)
        above = min((edge for edge in self.edges if edge > told.score), default=BEST_SCORE + 1)
        if seen.score < first - self.hysteresis_points:
            return -1
        return 1 if seen.score >= above + self.hysteresis_points else 0


@dataclass(frozen=True)
class Dampening:
    """The parameters of RFC 2439, in changes; a binding is suppressed for at most `max_suppress_s` after its last."""

    half_life_s: float
    """The penalty halves in this time."""
    suppress: float
    """Above it, changes wait."""
    reuse: float
    """Below it, they no longer do."""
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
        """The penalty that decays to `reuse` in `max_suppress_s`; more is not kept."""
        return self.reuse * 2 ** min(1000.0, self.max_suppress_s / self.half_life_s)


@dataclass(frozen=True)
class Telling:
    """A way of telling. `budget` limits an agent's reports, refreshes included."""

    refresh_s: float
    """Everything is reported at least this often."""
    trigger: Threshold | Band | None = None
    """What has a binding reported before that."""
    budget: Rate | None = None
    """Limits an agent's reports, refreshes included; none: as many as are due."""
    dampening: Dampening | None = None
    """Holds back what flaps; none: nothing is held back."""

    def __post_init__(self) -> None:
        if not 0 < self.refresh_s < math.inf:
            raise ValueError(f"refresh_s must be > 0 and finite, not {self.refresh_s:g}")


class Penalty:
    """How much a binding has flapped of late."""

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
        """Return the penalty."""
        return self._value * 2 ** (min(0.0, self._as_of_s - now_s) / self._dampening.half_life_s)

    def is_suppressed(self, now_s: float) -> bool:
        """Tell whether changes have to wait."""
        self._suppressed = self._suppressed and self.value(now_s) >= self._dampening.reuse
        return self._suppressed


class Watched:
    """What was seen and what was told of one binding."""

    def __init__(self, telling: Telling) -> None:
        self._trigger = telling.trigger
        self._penalty = Penalty(telling.dampening) if telling.dampening else None
        self._seen: BindingReport | None = None
        self._told: BindingReport | None = None
        self._told_s = -math.inf
        self._told_direction = 0
        self._times_down_told = 0
        self._is_down_again = False  # at one poll after another, since it was told of
        # The last change that was counted. What is suppressed must not count again at each look until it is told.
        self._counted: BindingReport | None = None
        self._counted_direction = 0

    def see(self, seen: BindingReport, now_s: float) -> None:
        """Take in how the instance is."""
        if self._penalty and self._counted is not None:
            change = self._change(self._counted, seen, self._counted_direction)
            if change or seen.state is not self._counted.state:
                self._penalty.add(now_s)
                self._counted, self._counted_direction = seen, change or self._counted_direction
        self._counted = self._counted or seen
        self._is_down_again = seen.state is State.DOWN and self._seen is not None and self._seen.state is State.DOWN
        self._seen = seen

    def reason(self, refreshed_s: float, now_s: float) -> str:
        """Return why the binding is due to be told: `state`, `change`, `refresh` or nothing.

        `refreshed_s` is when the last refresh began.
        """
        seen, told = self._seen, self._told
        if seen is None:
            return ""
        if told is None:
            return "state"
        if not self._is_held(now_s):
            if seen.state is not told.state or (self._is_down_again and self._times_down_told < _TIMES_DOWN_IS_TOLD):
                return "state"
            if self._change(told, seen, self._told_direction) and not self.is_suppressed(now_s):
                return "change"
        # That it is down counts with D-Routers, so it is said again only when the next poll found it, too.
        is_worth_saying = seen.state is not State.DOWN or self._is_down_again
        return "refresh" if self._told_s < refreshed_s and is_worth_saying else ""

    def as_told(self, now_s: float) -> BindingReport:
        """Return what is to be told; only of what was seen."""
        assert self._seen is not None
        return replace(self._seen, state=State.DRAINING) if self._is_held(now_s) else self._seen

    def tell(self, now_s: float) -> None:
        """Take note that `as_told` was told."""
        told = self.as_told(now_s)
        if self._told is not None:
            self._told_direction = self._change(self._told, told, self._told_direction) or self._told_direction
        self._times_down_told = self._times_down_told + 1 if told.state is State.DOWN else 0
        self._told, self._told_s, self._is_down_again = told, now_s, False

    def is_suppressed(self, now_s: float) -> bool:
        """Tell whether changes have to wait."""
        return self._penalty is not None and self._penalty.is_suppressed(now_s)

    @property
    def told_s(self) -> float:
        """When it was last told of."""
        return self._told_s

    def _change(self, before: BindingReport, now: BindingReport, direction: int) -> int:
        return self._trigger.change(before, now, direction) if self._trigger else 0

    def _is_held(self, now_s: float) -> bool:
        """Tell whether the instance is up again and that has to wait."""
        assert self._seen is not None
        was_up = self._told is None or self._told.state is State.UP
        return not was_up and self._seen.state is State.UP and self.is_suppressed(now_s)
