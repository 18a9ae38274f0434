"""The cluster at the least distance from the user's site, as the network was configured.

Blind to what happens on the way and at the cluster: a function moves only if a nearer cluster comes into view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from testbed.faas.placement.function import Demand
from testbed.faas.placement.policies.base import Margin, Policy, Predicted, Ranked

_MEASURES = ("hops", "distance")


class Nearest(Policy):
    """The fewest hops, or with `by: distance` the least distance of the routing. An unknown distance is the longest."""

    def __init__(self, by: str = "hops") -> None:
        if by not in _MEASURES:
            raise ValueError(f"by must be one of {', '.join(_MEASURES)}, not {by!r}")
        self.by = by

    def costs(self, predicted: Sequence[Predicted], demand: Demand, rng: Random) -> list[float]:  # noqa: ARG002
        """The hops, or the distance."""
        return [_finite(getattr(item.view.from_user, self.by)) for item in predicted]

    def is_worth_moving(self, present: Ranked, other: Ranked, demand: Demand, margin: Margin) -> bool:  # noqa: ARG002
        """Whatever it costs, to what is nearer."""
        return other.cost < present.cost


def _finite(distance: float | None) -> float:
    return 0.0 if distance is None else min(float(distance), math.nextafter(math.inf, 0))  # of none is it known
