"""Any instance, evenly."""

from __future__ import annotations

from testbed.dyncast.policies.base import LeastCost
from testbed.dyncast.policies.candidate import Candidate


class RandomChoice(LeastCost):
    """Blind to everything: all tie."""

    def cost(self, item: Candidate) -> float:  # noqa: ARG002
        """The same for all."""
        return 0.0
