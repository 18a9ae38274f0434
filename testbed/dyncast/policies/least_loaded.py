"""The instance with the least reported load per worker, wherever it is.

Believes the last report as it stands: with stale metrics it herds, which is what makes it a useful
baseline.
"""

from __future__ import annotations

from testbed.dyncast.policies.base import LeastCost
from testbed.dyncast.policies.candidate import Candidate


class LeastLoaded(LeastCost):
    """Load = (sessions of the last report x workers a session takes) / workers; unknown counts as idle."""

    def cost(self, item: Candidate) -> float:
        """The load per worker."""
        return item.reported_load
