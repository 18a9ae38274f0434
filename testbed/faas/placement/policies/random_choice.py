"""Any cluster that can hold the function, drawn at random when it is placed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from testbed.faas.placement.function import Demand
from testbed.faas.placement.policies.base import Policy, Predicted


class RandomChoice(Policy):
    """Blind to everything."""

    def costs(self, predicted: Sequence[Predicted], demand: Demand, rng: Random) -> list[float]:  # noqa: ARG002
        """A number drawn for each."""
        return [rng.random() for _ in predicted]
