"""One instance for all flows, whatever happens to it: what an administrator's table would say."""

from __future__ import annotations

from testbed.dyncast.policies.base import LeastCost
from testbed.dyncast.policies.candidate import Candidate

_BEHIND_ALL_ADDRESSES = 1 << 128


class Static(LeastCost):
    """The instance of the lowest address at `site`; none said, or no candidate there: the lowest of all."""

    def __init__(self, site: str = "") -> None:
        self.site = site

    def cost(self, item: Candidate) -> float:
        """The place in the order: those of the site by address, then the others."""
        return int(item.d_bid) + (_BEHIND_ALL_ADDRESSES if self.site and item.site != self.site else 0)
