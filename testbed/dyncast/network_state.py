"""What a D-Router measured of the paths to other sites: smoothed round-trip time and probe loss.

Pure. The smoothing is that of RFC 6298: gain 1/8 for the mean, 1/4 for the deviation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class PathState:
    """The path to one site. `path_cost_ms` is the routing's static round-trip cost; `rtt_s` is measured."""

    site: str
    path_cost_ms: float
    rtt_s: float | None = None
    deviation_s: float = 0.0
    heard_s: float | None = None
    probes_sent: int = 0
    replies: int = 0

    def on_reply(self, rtt_s: float, now_s: float) -> None:
        """Take in a round trip."""
        self.replies += 1
        self.heard_s = now_s
        if self.rtt_s is None:
            self.rtt_s, self.deviation_s = rtt_s, rtt_s / 2
            return
        self.deviation_s += (abs(rtt_s - self.rtt_s) - self.deviation_s) / 4
        self.rtt_s += (rtt_s - self.rtt_s) / 8

    @property
    def cost_s(self) -> float:
        """The round-trip time to reckon with: measured, or the routing's before the first reply."""
        return self.path_cost_ms / 1e3 if self.rtt_s is None else self.rtt_s
