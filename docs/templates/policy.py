"""The instance with the most free workers by its last report, however far away it is.

Blind to the path, and to flows since the report: with old metrics it herds.
"""

from __future__ import annotations

from testbed.dyncast.policies.base import LeastCost
from testbed.dyncast.policies.candidate import Candidate


class MostFree(LeastCost):
    """The fewest busy workers beyond those there are; an instance without metrics counts as full."""

    def cost(self, item: Candidate) -> float:
        """The number of free workers, negative."""
        return float(item.metrics.busy_workers - item.metrics.workers) if item.metrics else 0.0
