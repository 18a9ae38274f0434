"""The instance with the least static path cost: what routing alone would do with an anycast address."""

from __future__ import annotations

from testbed.dyncast.policies.base import LeastCost
from testbed.dyncast.policies.candidate import Candidate


class Closest(LeastCost):
    """Blind to load; instances at the same distance share evenly."""

    def cost(self, item: Candidate) -> float:
        """The path cost, in ms."""
        return item.path_cost_ms
