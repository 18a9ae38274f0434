"""Datapath affinity: how new flows to one D-SID are spread by the switch itself, at weights that the D-Router sets.

Owns the last update of the switch for one D-SID. The switch selects, binds and rewrites on its own, also while the
D-Router is away. So a D-Router to which no instance was reported since its start sends no update, rather than take away
what an earlier one left in the switch. Section 4.4 of the CFN-Dyncast architecture asks for this scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from testbed.dyncast.actions import SetWeights
from testbed.net.addresses import Address

# The weights of a D-SID sum up to about this: a switch's select group spreads over so many hash values.
SHARES = 64
# To compute and send the weights of so many takes a while, and reports come by the hundred a second.
_PAUSE_PER_MEMBER_S = 50e-6


class WeightedGroup:
    """The instances of one D-SID as the switch knows them.

    `members` have entries in the switch, so that flows bound to them go on; those with a share get new flows, too.
    """

    def __init__(self, d_sid: Address) -> None:
        self.d_sid = d_sid
        self.members: set[Address] = set()
        self._sent: SetWeights | None = None
        self._update_failed = False
        self._assigned: dict[Address, int] = {}
        self._computed_s = -math.inf
        self.is_waiting = False

    def may_be_set(self, now_s: float) -> bool:
        """Return whether weights may be computed again: those of more than `SHARES` members after a pause only.

        Otherwise the group `is_waiting`.
        """
        self.is_waiting = now_s < self.ready_s
        if not self.is_waiting:
            self._computed_s = now_s
        return not self.is_waiting

    @property
    def ready_s(self) -> float:
        """When weights may be computed again."""
        members = len(self.members)
        return self._computed_s + (_PAUSE_PER_MEMBER_S * members if members > SHARES else 0.0)

    def add(self, d_bid: Address) -> None:
        """Have an instance as a member that was reported."""
        self.members.add(d_bid)

    def remove(self, d_bid: Address) -> bool:
        """Forget an instance that has failed; return whether it was a member."""
        if d_bid not in self.members:
            return False
        self.members.discard(d_bid)
        self._assigned.pop(d_bid, None)
        return True

    def set_weights(self, shares: Mapping[Address, int]) -> SetWeights | None:
        """Return the update that sets weights in the switch; None where it has them."""
        if self._sent is None and not self.members:
            return None
        update = SetWeights(self.d_sid, dict(shares), frozenset(self.members))
        if update == self._sent and not self._update_failed:
            return None
        self._sent, self._update_failed = update, False
        return update

    def resend(self) -> SetWeights | None:
        """Return the last update, for a switch that may have lost it; None if there was none yet."""
        return self._sent

    def on_update_failed(self) -> None:
        """Take note that the switch did not get the last update."""
        self._update_failed = True

    def assigned(self, d_bid: Address) -> int:
        """Return how many flows the switch assigned to an instance, by its last count."""
        return self._assigned.get(d_bid, 0)

    def newly_assigned(self, d_bid: Address, total: int) -> int:
        """Return how many flows an instance got since last asked; `total` is the switch's count, which may restart."""
        before = self._assigned.get(d_bid, 0)
        self._assigned[d_bid] = total
        return total - before if total >= before else total
