"""Datapath affinity: how new flows to one D-SID are spread by the switch itself, at weights that the D-Router moves.

Owns what the switch was last told of one D-SID. The switch selects, binds and rewrites on its own, also while the
D-Router is away. So a D-Router that has not heard of any instance since its start says nothing, rather than take away
what an earlier one left in the switch. Section 4.4 of the CFN-Dyncast architecture asks for this scale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from testbed.dyncast.actions import SpreadFlows
from testbed.dyncast.codec import Address

# The weights of a D-SID sum up to about this: a switch's select group spreads over so many hash values.
SHARES = 64


class Pool:
    """The instances of one D-SID as the switch knows them.

    `members` have entries in the switch, so that flows bound to them go on; those with a share get new flows, too.
    """

    def __init__(self, d_sid: Address) -> None:
        self.d_sid = d_sid
        self.members: set[Address] = set()
        self.shares: dict[Address, int] | None = None  # None: nothing said yet
        self._given: dict[Address, int] = {}

    def spread(self, shares: Mapping[Address, int], known: Collection[Address]) -> SpreadFlows | None:
        """Return what to tell the switch, or None where it knows. `known`: instances that are not dead."""
        if self.shares is None and not known:
            return None
        if self.shares == shares and self.members.issuperset(known):
            return None
        self.shares = dict(shares)
        self.members.update(known, shares)
        return self.again()

    def again(self) -> SpreadFlows | None:
        """Return what a switch must be told that may have forgotten; None if there is nothing yet."""
        if self.shares is None:
            return None
        return SpreadFlows(self.d_sid, dict(self.shares), frozenset(self.members))

    def remove(self, d_bid: Address) -> bool:
        """Forget a dead instance; tell whether it was a member."""
        if d_bid not in self.members:
            return False
        self.members.discard(d_bid)
        self._given.pop(d_bid, None)
        if self.shares is not None:
            self.shares.pop(d_bid, None)
        return True

    def newly_given(self, d_bid: Address, total: int) -> int:
        """Return how many flows an instance got since last asked; `total` is the switch's count, which may restart."""
        before = self._given.get(d_bid, 0)
        self._given[d_bid] = total
        return total - before if total >= before else total
