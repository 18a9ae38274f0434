"""Where the users of a site have a function: its clusters, and the one that it is moving to.

A function moves by being delivered to the new place before it leaves the old one (make before break).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from testbed.faas.cluster_client.loads import RequestRate
from testbed.faas.placement.function import Demand, Function
from testbed.faas.placement.policies import Margin, Policy, Ranked


@dataclass(frozen=True)
class Situation:
    """What a placement follows: how the policy ranks the clusters now, and which of them hold the function."""

    policy: Policy
    ranking: tuple[Ranked, ...]
    demand: Demand
    margin: Margin
    is_held: Callable[[str], bool]

    @cached_property
    def by_name(self) -> Mapping[str, Ranked]:
        """The clusters that may be chosen."""
        return {item.cluster: item for item in self.ranking}

    def is_worth_moving(self, cluster: str, other: str) -> bool:
        """Return whether the function, which is at one cluster, is to move to another. Both are ranked."""
        return self.policy.is_worth_moving(self.by_name[cluster], self.by_name[other], self.demand, self.margin)


@dataclass
class Placement:
    """A function for the users of a site. `clusters`: it is there, or is to be; `moving_to`: a better place, meanwhile.

    `asked_s`: when users asked for it last.
    """

    function: Function
    site: str
    rate: RequestRate
    asked_s: float
    clusters: tuple[str, ...] = ()
    moving_to: str | None = None
    moves: int = 0

    @property
    def wanted(self) -> tuple[str, ...]:
        """The clusters that are to have the function."""
        return self.clusters if self.moving_to is None else (*self.clusters, self.moving_to)

    def demand(self, horizon_s: float, now_s: float) -> Demand:
        """Return how much the function is wanted."""
        return Demand(self.rate.per_s(now_s), horizon_s)

    def follow(self, now: Situation) -> None:
        """Leave what may not be chosen any more, fill up from the best, and move if that is worth it."""
        self.clusters = tuple(cluster for cluster in self.clusters if cluster in now.by_name)
        if self.moving_to is not None and self.moving_to not in now.by_name:
            self.moving_to = None
        self._fill(len(now.ranking) if now.policy.is_everywhere else self.function.replicas, now)
        if self.moving_to is None:
            self.moving_to = self._better(now)
        if self.moving_to is not None and now.is_held(self.moving_to):
            self._move(now)

    def _fill(self, wanted: int, now: Situation) -> None:
        if self.moving_to is not None and self._worst(now) is None:  # there is nothing to move from any more
            self.clusters, self.moving_to = (self.moving_to, *self.clusters)[:wanted], None
        others = (item.cluster for item in now.ranking if item.cluster not in self.wanted)
        for cluster in others:
            if len(self.clusters) >= wanted:
                return
            self.clusters += (cluster,)

    def _better(self, now: Situation) -> str | None:
        """Return the best cluster, if it is worth moving there from the worst of the present ones."""
        worst = self._worst(now)
        best = next((item.cluster for item in now.ranking if item.cluster not in self.clusters), None)
        if worst is None or best is None:
            return None
        return best if now.is_worth_moving(worst, best) else None

    def _move(self, now: Situation) -> None:
        assert self.moving_to is not None
        left = self._worst(now)
        self.clusters = (*(cluster for cluster in self.clusters if cluster != left), self.moving_to)
        self.moving_to = None
        self.moves += 1

    def _worst(self, now: Situation) -> str | None:
        """Return the present cluster that ranks last; one that the function is still on its way to is not left."""
        held = [item.cluster for item in now.ranking if item.cluster in self.clusters and now.is_held(item.cluster)]
        return held[-1] if held else None
