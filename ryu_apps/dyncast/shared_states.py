"""The true states of all instances of a run, as one of its ingresses sees them: for the policy `oracle` alone.

The adapter behind the port `TrueStates` of the core. Maps the shared memory of an instance when it is first asked for;
what is in there is `testbed.dyncast_io.shared_state`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router_config import DRouterConfig
from testbed.dyncast_io.shared_state import TrueState, path_of
from testbed.net.addresses import Address


def shared_states(folder: Path | None, config: DRouterConfig) -> SharedStates | None:
    """Return what a D-Router sees of all instances of a run; None without a folder."""
    if folder is None:
        return None
    return SharedStates(folder, config.site, [config.site, *(peer.site for peer in config.peers)])


class SharedStates:
    """The shared memory of all instances of a run, as one of its ingresses uses it (`TrueStates` of the core).

    `sites`: those of all ingresses, among them `site`.
    """

    def __init__(self, folder: Path, site: str, sites: Sequence[str]) -> None:
        self._folder = folder
        self._ingresses = len(sites)
        self._slot = sorted(sites).index(site)
        self._known: dict[Address, TrueState] = {}

    def of(self, d_bid: Address, now_s: float) -> RawMetrics | None:  # noqa: ARG002  (shared memory has but the present)
        """Return what an instance is like now; None if it does not say."""
        return self._state(d_bid).read()

    def send(self, d_bid: Address, arrives_s: float) -> None:
        """Show all ingresses a flow that was assigned to an instance."""
        self._state(d_bid).send(self._slot, arrives_s)

    def under_way(self, d_bid: Address, now_s: float) -> int:
        """Return how many flows any ingress assigned to an instance that have not arrived."""
        return self._state(d_bid).under_way(now_s)

    def _state(self, d_bid: Address) -> TrueState:
        known = self._known.get(d_bid)
        if known is None:
            known = self._known[d_bid] = TrueState(path_of(self._folder, str(d_bid)), self._ingresses)
        return known
