"""The instance with the least reported load per worker, wherever it is.

Believes the last report as it stands: with stale metrics it herds, which is what makes it a useful
baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.codec import Address
from testbed.dyncast.policies.base import Candidate, StatelessPolicy, all_equal_to_least


class LeastLoaded(StatelessPolicy):
    """Load = (sessions of the last report x workers a session takes) / workers; unknown counts as idle."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """Weight one for the least loaded; ties share evenly."""
        return all_equal_to_least(
            {
                item.d_bid: item.metrics.sessions * item.load_per_session / item.metrics.workers
                if item.metrics
                else 0.0
                for item in candidates
            }
        )
