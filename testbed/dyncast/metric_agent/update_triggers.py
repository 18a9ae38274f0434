"""When a metric agent reports a binding: at an interval, when a figure has moved, when a score left its band.

Owns what was last reported of each binding and when the next report of it is due; knows neither messages nor sockets.
The Dyncast architecture leaves open "when and how frequent such information should be exchanged", for metrics change
fast and signalling costs; CATS asks for the same trade-off.

* Soft state: everything is reported at least every `refresh_s`, so that a receiver that missed a change learns of it
  and a binding that nobody reports expires. The way `interval` is this alone.
* A condition (`conditions`) has a binding reported before that, when it differs enough from what was last reported.
* An instance that goes down, drains or comes up is reported at once, whatever the way. One that is not there yet is not
  reported at all; one that says that it is there no more is reported as down twice, and no more then.
* While a binding is suppressed (`dampening`), changes wait for the next refresh. An instance that leaves the state UP
  is reported all the same, but not that it came back: until then it is reported as DRAINING.

`TRANSITIONS` says all of that, row by row: what is due of a binding that was last reported so and is observed so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

from testbed.dyncast.messages.reports import BindingReport
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import DampedBinding, Dampening
from testbed.dyncast.metrics.levels import State
from testbed.net.token_bucket import Rate


@dataclass(frozen=True)
class Reporting:
    """When an agent reports. `budget` limits its reports, refreshes included."""

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


class Advertised(Enum):
    """What D-Routers know of an instance: the state that was last reported.

    They break its flows at the second report that it is down, so that it was down once is a state of its own.
    """

    NEVER = auto()
    UP = auto()
    DRAINING = auto()
    DOWN_ONCE = auto()
    DOWN = auto()


class Observed(Enum):
    """What the agent found when it last asked an instance."""

    UP = auto()
    UP_SUPPRESSED = auto()
    DRAINING = auto()
    DOWN = auto()
    DOWN_AGAIN = auto()  # at two polls in a row, the last of which was not reported yet
    ABSENT = auto()  # it does not serve this: not yet, or no more
    ABSENT_AGAIN = auto()  # likewise at two polls


class Due(Enum):
    """When a report is due."""

    AT_ONCE = auto()
    ON_CHANGE = auto()  # of a figure, or at the next refresh
    AT_REFRESH = auto()
    AT_NEXT_POLL = auto()  # which must confirm it; not even at a refresh
    NEVER = auto()  # until something else is observed


class Transition(NamedTuple):
    """When a report is due, the state it says, and what is advertised from then on."""

    due: Due
    reported: State
    following: Advertised


_UP = Transition(Due.AT_ONCE, State.UP, Advertised.UP)
_DRAINING = Transition(Due.AT_ONCE, State.DRAINING, Advertised.DRAINING)
_HELD_DRAINING = _DRAINING._replace(due=Due.AT_REFRESH)
_DOWN_ONCE = Transition(Due.AT_ONCE, State.DOWN, Advertised.DOWN_ONCE)
_DOWN = Transition(Due.AT_ONCE, State.DOWN, Advertised.DOWN)
_WITHDRAWN = _DOWN._replace(following=Advertised.NEVER)
_NOTHING = _WITHDRAWN._replace(due=Due.NEVER)

TRANSITIONS: dict[tuple[Advertised, Observed], Transition] = {
    (Advertised.NEVER, Observed.UP): _UP,
    (Advertised.NEVER, Observed.UP_SUPPRESSED): _UP,
    (Advertised.NEVER, Observed.DRAINING): _DRAINING,
    (Advertised.NEVER, Observed.DOWN): _DOWN_ONCE,
    (Advertised.NEVER, Observed.DOWN_AGAIN): _DOWN_ONCE,
    (Advertised.NEVER, Observed.ABSENT): _NOTHING,
    (Advertised.NEVER, Observed.ABSENT_AGAIN): _NOTHING,
    (Advertised.UP, Observed.UP): _UP._replace(due=Due.ON_CHANGE),
    (Advertised.UP, Observed.UP_SUPPRESSED): _UP._replace(due=Due.AT_REFRESH),
    (Advertised.UP, Observed.DRAINING): _DRAINING,
    (Advertised.UP, Observed.DOWN): _DOWN_ONCE,
    (Advertised.UP, Observed.DOWN_AGAIN): _DOWN_ONCE,
    (Advertised.UP, Observed.ABSENT): _DOWN_ONCE,
    (Advertised.UP, Observed.ABSENT_AGAIN): _DOWN_ONCE,
    (Advertised.DRAINING, Observed.UP): _UP,
    (Advertised.DRAINING, Observed.UP_SUPPRESSED): _HELD_DRAINING,
    (Advertised.DRAINING, Observed.DRAINING): _DRAINING._replace(due=Due.ON_CHANGE),
    (Advertised.DRAINING, Observed.DOWN): _DOWN_ONCE,
    (Advertised.DRAINING, Observed.DOWN_AGAIN): _DOWN_ONCE,
    (Advertised.DRAINING, Observed.ABSENT): _DOWN_ONCE,
    (Advertised.DRAINING, Observed.ABSENT_AGAIN): _DOWN_ONCE,
    (Advertised.DOWN_ONCE, Observed.UP): _UP,
    (Advertised.DOWN_ONCE, Observed.UP_SUPPRESSED): _HELD_DRAINING,
    (Advertised.DOWN_ONCE, Observed.DRAINING): _DRAINING,
    (Advertised.DOWN_ONCE, Observed.DOWN): _DOWN._replace(due=Due.AT_NEXT_POLL),
    (Advertised.DOWN_ONCE, Observed.DOWN_AGAIN): _DOWN,
    (Advertised.DOWN_ONCE, Observed.ABSENT): _WITHDRAWN._replace(due=Due.AT_NEXT_POLL),
    (Advertised.DOWN_ONCE, Observed.ABSENT_AGAIN): _WITHDRAWN,
    (Advertised.DOWN, Observed.UP): _UP,
    (Advertised.DOWN, Observed.UP_SUPPRESSED): _HELD_DRAINING,
    (Advertised.DOWN, Observed.DRAINING): _DRAINING,
    (Advertised.DOWN, Observed.DOWN): _DOWN._replace(due=Due.AT_NEXT_POLL),
    (Advertised.DOWN, Observed.DOWN_AGAIN): _DOWN._replace(due=Due.AT_REFRESH),
    (Advertised.DOWN, Observed.ABSENT): _NOTHING,
    (Advertised.DOWN, Observed.ABSENT_AGAIN): _NOTHING,
}


class UpdateTrigger:
    """Says when one binding is to be reported, and how."""

    def __init__(self, reporting: Reporting) -> None:
        self._condition = reporting.trigger
        self._damped = DampedBinding(reporting.dampening, self._change)
        self.advertised = Advertised.NEVER
        self.reported_s = -math.inf
        self._reported: BindingReport | None = None
        self._direction = 0  # of the last change that was reported
        self._seen: BindingReport | None = None
        self._is_down_again = False
        self._is_absent = False

    def observe(self, seen: BindingReport, now_s: float, *, is_absent: bool = False) -> None:
        """Take in how the instance is; `is_absent`: one that is down because it does not serve this."""
        self._damped.observe(seen, now_s)
        self._is_down_again = self._seen is not None and self._seen.state is seen.state is State.DOWN
        self._seen, self._is_absent = seen, is_absent

    def reason(self, refreshed_s: float, now_s: float) -> str:
        """Return why the binding is due to be reported: `state`, `change`, `refresh` or nothing.

        `refreshed_s` is when the last refresh began.
        """
        if self._seen is None:
            return ""
        due = self._transition(self._seen, now_s).due
        if due is Due.AT_ONCE:
            return "state"
        if due is Due.ON_CHANGE and self._has_changed(self._seen) and not self.is_suppressed(now_s):
            return "change"
        return "refresh" if due not in (Due.AT_NEXT_POLL, Due.NEVER) and self.reported_s < refreshed_s else ""

    def report(self, now_s: float) -> BindingReport:
        """Return what is to be reported; only of what was observed."""
        assert self._seen is not None
        state = self._transition(self._seen, now_s).reported
        return self._seen if state is self._seen.state else replace(self._seen, state=state)

    def on_reported(self, now_s: float) -> None:
        """Take note that `report` was sent."""
        assert self._seen is not None
        report = self.report(now_s)
        if self._reported is not None:
            self._direction = self._change(self._reported, report, self._direction) or self._direction
        self.advertised = self._transition(self._seen, now_s).following
        self._reported, self.reported_s, self._is_down_again = report, now_s, False

    def is_suppressed(self, now_s: float) -> bool:
        """Return whether changes have to wait."""
        return self._damped.is_suppressed(now_s)

    def _transition(self, seen: BindingReport, now_s: float) -> Transition:
        return TRANSITIONS[self.advertised, self._observed(seen, now_s)]

    def _observed(self, seen: BindingReport, now_s: float) -> Observed:
        if self._is_absent:
            return Observed.ABSENT_AGAIN if self._is_down_again else Observed.ABSENT
        if seen.state is State.DOWN:
            return Observed.DOWN_AGAIN if self._is_down_again else Observed.DOWN
        if seen.state is State.DRAINING:
            return Observed.DRAINING
        return Observed.UP_SUPPRESSED if self.is_suppressed(now_s) else Observed.UP

    def _has_changed(self, seen: BindingReport) -> bool:
        return self._reported is not None and self._change(self._reported, seen, self._direction) != 0

    def _change(self, before: BindingReport, now: BindingReport, direction: int) -> int:
        return self._condition.change(before, now, direction) if self._condition else 0
