"""The modelled network of a simulation: sites, workers of their instances, round trips; and the requests served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from testbed.net.addresses import Address


@dataclass(frozen=True)
class Network:
    """Sites, workers of the instance at each, round trips between them, and sites that have clients."""

    workers: dict[str, int]
    rtt_ms: dict[frozenset[str], float]
    ingresses: tuple[str, ...]
    mean_work_s: float = 0.1
    load: float = 0.8
    queue_limit: int = 100
    timeout_s: float = 10.0

    @property
    def arrivals_per_s(self) -> float:
        """Requests per second over all ingresses."""
        return self.load * sum(self.workers.values()) / self.mean_work_s

    def rtt_s(self, one: str, other: str) -> float:
        """Return the round-trip time between two sites."""
        return 0.0 if one == other else self.rtt_ms[frozenset((one, other))] / 1e3


FOUR_SITES = Network(
    workers={"east": 2, "north": 4, "south": 6, "west": 8},
    rtt_ms={
        frozenset(pair): rtt_ms
        for pair, rtt_ms in {
            ("east", "north"): 10.0,
            ("east", "south"): 20.0,
            ("east", "west"): 40.0,
            ("north", "south"): 15.0,
            ("north", "west"): 30.0,
            ("south", "west"): 25.0,
        }.items()
    },
    ingresses=("east", "north", "south"),
)


class Served(NamedTuple):
    """A request: when it came, what was chosen for it, how long it took; a refused one takes its time-out.

    And where it came to, when the instance had it, and how much work it was.
    """

    arrived_s: float
    d_bid: Address
    took_s: float
    ingress: str = ""
    asked_s: float = 0.0
    work_s: float = 0.0
    is_refused: bool = False
