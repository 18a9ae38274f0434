"""The instance with the least static path cost: what routing alone would do with an anycast address."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.codec import Address
from testbed.dyncast.policies.base import Candidate, StatelessPolicy, all_equal_to_least


class Closest(StatelessPolicy):
    """Blind to load; instances at the same distance share evenly."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """Weight one for the nearest."""
        return all_equal_to_least({item.d_bid: item.path_cost_ms for item in candidates})

    def costs_ms(self, candidates: Sequence[Candidate]) -> dict[Address, float]:
        """The path cost."""
        return {item.d_bid: item.path_cost_ms for item in candidates}
