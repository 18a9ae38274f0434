"""Which instances have failed: those that were reported down often enough in a row.

Pure. Owns the count. What follows from a failure (bound flows break, weights move) is the D-Router's.
"""

from __future__ import annotations

from collections import Counter

from testbed.dyncast.metrics.levels import State
from testbed.net.addresses import Address

DOWN_REPORTS = 2  # one may be a poll that timed out on a busy machine: bound flows stay
DOWN_DECISIONS = 1  # the controller says so when it is sure


class FailureDetector:
    """How often each instance was reported down in a row; after `enough` times it has failed."""

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._down: Counter[tuple[Address, Address]] = Counter()

    def on_state(self, d_sid: Address, d_bid: Address, state: State) -> bool:
        """Take in a state; return whether it is the one by which the instance has failed."""
        key = (d_sid, d_bid)
        if state is not State.DOWN:
            self._down.pop(key, None)
            return False
        self._down[key] += 1
        return self._down[key] == self._enough

    def has_failed(self, d_sid: Address, d_bid: Address) -> bool:
        """Return whether the instance has failed."""
        return self._down[d_sid, d_bid] >= self._enough
