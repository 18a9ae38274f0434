"""Two instances drawn at random, the less loaded of them taken (Mitzenmacher 2001).

As blind to what was sent since the last report as `least_loaded`, but no instance gets more than 2/n of the flows: it
herds less the more instances there are.
"""

from __future__ import annotations

from testbed.dyncast.policies.base import BestOfTwo
from testbed.dyncast.policies.candidate import Candidate


class PowerOfTwo(BestOfTwo):
    """Load as `least_loaded` has it: reported sessions x workers a session takes / workers; unknown counts as idle."""

    def cost(self, item: Candidate) -> float:
        """The load per worker."""
        return item.reported_load
