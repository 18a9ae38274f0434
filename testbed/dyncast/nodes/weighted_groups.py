"""The weighted groups of one D-Router: D-SIDs whose flows its switch binds, and when weights are computed again.

Owns that time; what the weights are is the selections' business, and how the switch learns of them `weighted_group`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from testbed.dyncast.actions import SetWeights
from testbed.dyncast.nodes.weighted_group import SHARES, WeightedGroup
from testbed.dyncast.selection.selection import Selection
from testbed.net.addresses import Address

_INTERVAL_S = 0.25  # how often weights are computed again without a report


class WeightedGroups(Mapping[Address, WeightedGroup]):
    """Weighted groups by D-SID. `selections` has, by D-SID, the instances among which a group shares out its flows."""

    def __init__(self, d_sids: Iterable[Address], selections: Mapping[Address, Selection]) -> None:
        self._groups = {d_sid: WeightedGroup(d_sid) for d_sid in d_sids}
        self._selections = selections
        self._next_update_s = -math.inf

    def __getitem__(self, d_sid: Address) -> WeightedGroup:
        return self._groups[d_sid]

    def __iter__(self) -> Iterator[Address]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def remove(self, d_sids: Iterable[Address]) -> list[Address]:
        """Forget the groups of D-SIDs; return the instances that were their members."""
        return [d_bid for d_sid in d_sids for d_bid in self._groups.pop(d_sid).members]

    def resend(self) -> list[SetWeights]:
        """Return the last update of each group, for a switch that may have lost it."""
        return [update for group in self._groups.values() if (update := group.resend())]

    def newly_assigned(self, d_sid: Address, d_bid: Address, total: int) -> int:
        """Return how many flows an instance got since last asked; none where it is no member."""
        group = self._groups.get(d_sid)
        return group.newly_assigned(d_bid, total) if group is not None and d_bid in group.members else 0

    def set_weights(self, d_sid: Address, now_s: float) -> list[SetWeights]:
        """Set the weights of a D-SID in the switch, if it has a group and they are others than the switch has."""
        group = self._groups.get(d_sid)
        if group is None or not group.may_be_set(now_s):
            return []
        update = group.set_weights(self._selections[d_sid].shares(SHARES, now_s))
        return [update] if update else []

    def next_timer_s(self) -> float:
        """Return when weights are to be computed again."""
        if not self._groups:
            return math.inf
        waiting = [group.ready_s for group in self._groups.values() if group.is_waiting]
        return min(self._next_update_s, *waiting, math.inf)

    def on_timer(self, now_s: float) -> list[SetWeights]:
        """Compute the weights of all groups again if it is time, and of those that wait."""
        is_time = now_s >= self._next_update_s
        if is_time:
            self._next_update_s = now_s + _INTERVAL_S
        due = [d_sid for d_sid, group in self._groups.items() if is_time or group.is_waiting]
        return [update for d_sid in due for update in self.set_weights(d_sid, now_s)]
