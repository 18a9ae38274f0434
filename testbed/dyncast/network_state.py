"""What a D-Router measured of the paths to other sites: the round-trip time of late.

Pure. The median over the last few probes: a single probe that waited for a busy processor moves nothing, a
congested path is seen after three.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

_PROBES = 5


@dataclass
class PathState:
    """The path to one site. `path_cost_ms` is the routing's static round-trip cost."""

    site: str
    path_cost_ms: float
    heard_s: float | None = None
    probes_sent: int = 0
    replies: int = 0
    rtt_s: float | None = None  # measured; None before the first reply
    _recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=_PROBES))

    def on_reply(self, rtt_s: float, now_s: float) -> None:
        """Take in a round trip."""
        self.replies += 1
        self.heard_s = now_s
        self._recent_s.append(rtt_s)
        self.rtt_s = median(self._recent_s)

    @property
    def cost_s(self) -> float:
        """The round-trip time to reckon with: measured, or the routing's before the first reply."""
        return self.path_cost_ms / 1e3 if self.rtt_s is None else self.rtt_s
