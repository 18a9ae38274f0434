"""What a policy is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from testbed.dyncast.codec import Address
from testbed.dyncast.metrics import RawMetrics


@dataclass(frozen=True)
class Candidate:
    """An instance that may take the flow, as this ingress sees it.

    `path_cost_ms` is the routing's static round-trip cost, `rtt_s` the measured one. `expected_sessions`
    are those the instance should have by now (`session_model`), `unseen` of them given from here since its last
    report. `load_per_session` is how many workers one session of this service keeps busy on average (1 for a
    request, less for a media stream).
    """

    d_bid: Address
    site: str
    path_cost_ms: float
    rtt_s: float
    metrics: RawMetrics | None
    metrics_age_s: float
    expected_sessions: float = 0.0
    load_per_session: float = 1.0
    unseen: int = 0


class Policy(Protocol):
    """Give each candidate a weight; those left out get nothing. `cost_ms` explains, where there is one."""

    def weights(self, candidates: Sequence[Candidate], now_s: float) -> dict[Address, float]:
        """Return non-negative weights by D-BID."""
        ...

    def costs_ms(self, candidates: Sequence[Candidate]) -> dict[Address, float]:
        """Return the predicted cost by D-BID, or nothing where the policy knows no cost."""
        ...

    def on_chosen(self, d_bid: Address) -> None:
        """Take note of the choice made."""
        ...


PolicyFactory = Callable[..., Policy]


class StatelessPolicy:
    """The part that policies without memory or cost share."""

    def costs_ms(self, candidates: Sequence[Candidate]) -> dict[Address, float]:  # noqa: ARG002
        """Return nothing: no cost is computed."""
        return {}

    def on_chosen(self, d_bid: Address) -> None:
        """Forget it."""


def all_equal_to_least(costs: dict[Address, float]) -> dict[Address, float]:
    """Give weight one to each candidate whose cost is the least, so that ties are drawn evenly."""
    least = min(costs.values())
    return {d_bid: 1.0 for d_bid, cost in costs.items() if cost <= least + 1e-9}
