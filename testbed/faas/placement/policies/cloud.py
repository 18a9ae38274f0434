"""One cluster that is named, and no other: what a platform does that has nothing at the edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from testbed.faas.placement.function import Demand
from testbed.faas.placement.policies.base import Policy, Predicted


class Cloud(Policy):
    """All functions at the cluster of this name; none is chosen if there is no such cluster."""

    def __init__(self, cluster: str) -> None:
        if not isinstance(cluster, str) or not cluster:
            raise ValueError(f"cluster must be the name of a cluster, not {cluster!r}")
        self.cluster = cluster

    def costs(self, predicted: Sequence[Predicted], demand: Demand, rng: Random) -> list[float]:  # noqa: ARG002
        """Nothing for the one, infinite for all others."""
        return [0.0 if item.view.name == self.cluster else math.inf for item in predicted]
