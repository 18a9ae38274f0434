"""Any instance, evenly."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.codec import Address
from testbed.dyncast.policies.base import Candidate, StatelessPolicy


class RandomChoice(StatelessPolicy):
    """Blind to everything."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """The same weight for all."""
        return {item.d_bid: 1.0 for item in candidates}
