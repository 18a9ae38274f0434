"""Instances in turn, per ingress and service."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.codec import Address
from testbed.dyncast.policies.base import Candidate, StatelessPolicy


class RoundRobin(StatelessPolicy):
    """The instance that was chosen longest ago; newcomers first, in address order."""

    def __init__(self) -> None:
        self._turn = 0
        self._last_turn: dict[Address, int] = {}

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:  # noqa: ARG002
        """Weight one for whoever is next."""
        due = min(candidates, key=lambda item: (self._last_turn.get(item.d_bid, -1), int(item.d_bid)))
        return {due.d_bid: 1.0}

    def on_chosen(self, d_bid: Address) -> None:
        """Move it to the end of the line."""
        self._last_turn[d_bid] = self._turn
        self._turn += 1
