"""Instances at random, in proportion to how much they can do: knows capacity, is blind to load and paths."""

from __future__ import annotations

from testbed.dyncast.policies.base import Proportional
from testbed.dyncast.policies.candidate import Candidate

_SHORTEST_SERVICE_S = 1e-6
_UNKNOWN_SERVICE_S = 1.0


class Weighted(Proportional):
    """Capacity = workers / reported mean service time; without figures, one worker that takes 1 s."""

    def weight(self, item: Candidate) -> float:
        """The sessions it can finish per second."""
        if item.metrics is None:
            return 1 / _UNKNOWN_SERVICE_S
        return item.metrics.workers / max(_SHORTEST_SERVICE_S, item.service_time_s or _UNKNOWN_SERVICE_S)
