"""Instances in turn, per ingress and service."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.policies.base import Candidate, LeastCost
from testbed.net.addresses import Address

_BEFORE_ALL_TURNS = 1 << 128  # more than any address


class RoundRobin(LeastCost):
    """The instance that was chosen longest ago; newcomers first, in address order."""

    def __init__(self) -> None:
        self._turn = 0
        self._last_turn: dict[Address, int] = {}

    def cost(self, item: Candidate) -> float:
        """The turn it had last."""
        turn = self._last_turn.get(item.d_bid)
        return int(item.d_bid) - _BEFORE_ALL_TURNS if turn is None else turn

    def shares(self, priced: Sequence[tuple[float, Candidate]], flows: int) -> dict[Address, int]:  # noqa: ARG002
        """The same for all, so that the shares stay as they are while turns pass."""
        return {item.d_bid: 1 for _, item in priced}

    def on_chosen(self, d_bid: Address) -> None:
        """Move it to the end of the line."""
        self._last_turn[d_bid] = self._turn
        self._turn += 1
