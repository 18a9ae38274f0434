"""Datapath affinity: how new flows to one D-SID are spread by the switch itself, at weights that the D-Router moves.

Owns what the switch was last told of one D-SID. The switch selects, binds and rewrites on its own, also while the
D-Router is away. So a D-Router that has not heard of any instance since its start says nothing, rather than take away
what an earlier one left in the switch. Section 4.4 of the CFN-Dyncast architecture asks for this scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from testbed.dyncast.actions import SpreadFlows
from testbed.net.addresses import Address

# The weights of a D-SID sum up to about this: a switch's select group spreads over so many hash values.
SHARES = 64
# To reckon and tell the weights of so many takes a while, and reports come by the hundred a second.
_PAUSE_PER_MEMBER_S = 50e-6


class Pool:
    """The instances of one D-SID as the switch knows them.

    `members` have entries in the switch, so that flows bound to them go on; those with a share get new flows, too.
    """

    def __init__(self, d_sid: Address) -> None:
        self.d_sid = d_sid
        self.members: set[Address] = set()
        self._told: SpreadFlows | None = None
        self._is_lost = False
        self._assigned: dict[Address, int] = {}
        self._reckoned_s = -math.inf
        self.is_waiting = False

    def may_be_spread(self, now_s: float) -> bool:
        """Tell whether weights may be reckoned anew: those of more than `SHARES` members after a pause only.

        Otherwise the pool `is_waiting`.
        """
        self.is_waiting = now_s < self.ready_s
        if not self.is_waiting:
            self._reckoned_s = now_s
        return not self.is_waiting

    @property
    def ready_s(self) -> float:
        """When weights may be reckoned anew."""
        members = len(self.members)
        return self._reckoned_s + (_PAUSE_PER_MEMBER_S * members if members > SHARES else 0.0)

    def add(self, d_bid: Address) -> None:
        """Have an instance as a member that was heard of."""
        self.members.add(d_bid)

    def remove(self, d_bid: Address) -> bool:
        """Forget a dead instance; tell whether it was a member."""
        if d_bid not in self.members:
            return False
        self.members.discard(d_bid)
        self._assigned.pop(d_bid, None)
        return True

    def spread(self, shares: Mapping[Address, int]) -> SpreadFlows | None:
        """Return what to tell the switch, or None where it knows."""
        if self._told is None and not self.members:
            return None
        telling = SpreadFlows(self.d_sid, dict(shares), frozenset(self.members))
        if telling == self._told and not self._is_lost:
            return None
        self._told, self._is_lost = telling, False
        return telling

    def again(self) -> SpreadFlows | None:
        """Return what a switch must be told that may have forgotten; None if there is nothing yet."""
        return self._told

    def lose(self) -> None:
        """Hear that the switch did not get what it was told last."""
        self._is_lost = True

    def assigned(self, d_bid: Address) -> int:
        """Return how many flows the switch assigned to an instance, by its last count."""
        return self._assigned.get(d_bid, 0)

    def newly_assigned(self, d_bid: Address, total: int) -> int:
        """Return how many flows an instance got since last asked; `total` is the switch's count, which may restart."""
        before = self._assigned.get(d_bid, 0)
        self._assigned[d_bid] = total
        return total - before if total >= before else total
