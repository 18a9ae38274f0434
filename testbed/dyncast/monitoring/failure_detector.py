"""Which instances are dead: those that were told to be down often enough in a row.

Pure. Owns the count. What follows from a death (bound flows break, weights move) is the D-Router's.
"""

from __future__ import annotations

from collections import Counter

from testbed.dyncast.metrics.levels import State
from testbed.net.addresses import Address

OF_REPORTS = 2  # one may be a poll that timed out on a busy machine: bound flows stay
OF_DECISIONS = 1  # the controller says so when it is sure


class Deaths:
    """How often each instance was told to be down without a word to the contrary; `enough` times is dead."""

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._told_down: Counter[tuple[Address, Address]] = Counter()

    def hear(self, d_sid: Address, d_bid: Address, state: State) -> bool:
        """Count a telling; return whether it is the one that makes the instance dead."""
        key = (d_sid, d_bid)
        if state is not State.DOWN:
            self._told_down.pop(key, None)
            return False
        self._told_down[key] += 1
        return self._told_down[key] == self._enough

    def is_dead(self, d_sid: Address, d_bid: Address) -> bool:
        """Tell whether the instance is dead."""
        return self._told_down[d_sid, d_bid] >= self._enough
