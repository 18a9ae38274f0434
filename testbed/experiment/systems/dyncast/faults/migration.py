"""An instance moves, and nothing is lost: another one starts, the D-Routers learn of it, the first drains and stops.

Pure but for the operations. Owns the order of the steps and what each waits for, as a management system would
go about it (sections 4.2 and 4.1 of the CFN and the Dyncast architecture: instances come and go, bindings follow).

1. `begin`: the new one is started.
2. `draining`: every D-Router would assign flows to it; now the old one reports that it takes no new ones, and keeps its
   own.
3. `stopped`: nothing began there and nothing was under way for `quiet_s`; by default, until no D-Router can still hold
   a binding to it. A client that goes on for ever keeps it for ever.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from testbed.experiment.systems.dyncast.faults.operations import Activity, DyncastOperations

_LOOK_INTERVAL_S = 0.2

Event = Literal["draining", "stopped", "unfinished"]


class Happened(NamedTuple):
    """A step of a migration that was done, or (`unfinished`) what it still waited for when the run ended."""

    event: Event
    detail: str


class Migration:
    """`old` moves to `new`. `begin` once, then `step` again and again until `is_done`."""

    def __init__(self, old: str, new: str, quiet_s: float) -> None:
        self._old = old
        self._new = new
        self._quiet_s = quiet_s
        self._is_draining = False
        self._quiet_since_s: float | None = None
        self._started: int | None = None
        self._look_due_s = float("-inf")
        self._waits_for = ""
        self.is_done = False

    def begin(self, operations: DyncastOperations) -> str:
        """Start the new instance; one that still drains from an earlier move takes flows again."""
        if operations.is_running(self._new):
            return operations.set_state(self._new, "up")
        return operations.start_instance(self._new)

    def step(self, now_s: float, operations: DyncastOperations) -> Happened | None:
        """Do the next step if its time has come."""
        if self.is_done or now_s < self._look_due_s:
            return None
        self._look_due_s = now_s + _LOOK_INTERVAL_S
        return self._stop(now_s, operations) if self._is_draining else self._drain(operations)

    def unfinished(self) -> Happened | None:
        """Return what it waits for; None if it is done."""
        return None if self.is_done else Happened("unfinished", self._waits_for)

    def _drain(self, operations: DyncastOperations) -> Happened | None:
        lacking = operations.router_without(self._new)
        if lacking:
            self._waits_for = f"{lacking} does not know {self._new} yet"
            return None
        self._is_draining = True
        return Happened("draining", operations.set_state(self._old, "draining"))

    def _stop(self, now_s: float, operations: DyncastOperations) -> Happened | None:
        if operations.is_running(self._old) and not self._has_been_quiet(operations.activity(self._old), now_s):
            return None
        self.is_done = True
        return Happened("stopped", operations.stop(self._old))

    def _has_been_quiet(self, activity: Activity | None, now_s: float) -> bool:
        if activity is None or activity.sessions or activity.started != self._started:
            self._started = activity.started if activity else None
            self._quiet_since_s = None
            self._waits_for = f"{self._old} {f'has {activity.sessions} sessions' if activity else 'does not answer'}"
            return False
        if self._quiet_since_s is None:  # it may have become so a moment ago
            self._quiet_since_s = now_s
            self._waits_for = f"{self._old} has not been quiet for {self._quiet_s:g} s"
        return now_s - self._quiet_since_s >= self._quiet_s
