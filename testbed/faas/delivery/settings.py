"""How much is delivered at once, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.faas.delivery.manifest import Bounds
from testbed.faas.limits import MIB


@dataclass(frozen=True)
class DeliverySettings:
    """The settings of a cluster's deliveries. `pause_s`: before a second attempt, and at most; it doubles each time."""

    most_octets: int = 1024 * MIB
    at_once: int = 64
    kept: int = 1000
    fetches: int = 4
    deadline_s: float = 600.0
    stalled_s: float = 20.0
    pause_s: tuple[float, float] = (0.2, 5.0)
    wrong: int = 2
    bounds: Bounds = field(default_factory=Bounds)

    def pause_after_s(self, former: int) -> float:
        """Return how long to wait after an attempt, by the number of former ones in a row."""
        least_s, most_s = self.pause_s
        return float(min(most_s, least_s * 2 ** min(former, 30)))
