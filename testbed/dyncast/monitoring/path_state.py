"""What a D-Router measured of the paths to other sites: the recent round-trip time, and its port towards them.

Pure. The median over the last few probes: a single probe that waited for a busy processor moves nothing, a
congested path is seen after three. What the counters of the first link add is `port_state`'s business.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from testbed.dyncast.monitoring.path_samples import PathSamples
from testbed.dyncast.monitoring.port_state import PortState

_PROBES = 5
MOST_UNANSWERED = 3  # probes in a row; each had most of an interval for its answer


@dataclass
class PathState:
    """The path to one site. `path_cost_ms` is the routing's static round-trip cost."""

    site: str
    path_cost_ms: float
    answered_s: float | None = None
    probes_sent: int = 0
    replies: int = 0
    unanswered: int = 0  # probes sent since the last reply
    rtt_s: float | None = None  # measured; None before the first reply
    least_rtt_s: float | None = None
    probes_returned: int = 0  # they came back, for nobody listened there
    port: PortState | None = None  # by which the path begins
    samples: PathSamples | None = None  # of all that was measured recently, if somebody reports it
    _came_back: bool = False  # the last probe, as far as an answer or error came
    _recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=_PROBES))

    def on_probe_sent(self) -> None:
        """Count a probe under way."""
        self.probes_sent += 1
        self.unanswered += 1

    def on_reply(self, rtt_s: float, now_s: float) -> None:
        """Take in a round trip."""
        self.replies += 1
        self._came_back = False
        self._on_alive(rtt_s, now_s)

    def on_returned(self, rtt_s: float, now_s: float) -> None:
        """Take in a round trip whose probe came back, since no control process listens at the other end."""
        self.probes_returned += 1
        self._came_back = True
        self._on_alive(rtt_s, now_s)

    def _on_alive(self, rtt_s: float, now_s: float) -> None:
        self.unanswered = 0
        self.answered_s = now_s
        self._recent_s.append(rtt_s)
        self.rtt_s = median(self._recent_s)
        self.least_rtt_s = rtt_s if self.least_rtt_s is None else min(self.least_rtt_s, rtt_s)

    @property
    def jitter_s(self) -> float | None:
        """How much one of the last few round trips differed from the next on average; None before the second reply."""
        steps = [abs(later - earlier) for earlier, later in pairwise(self._recent_s)]
        return sum(steps) / len(steps) if steps else None

    @property
    def is_reachable(self) -> bool:
        """Return whether the site answers, as far as known: of one that never did, only that its reports come.

        Counted in probes, so that a D-Router that was held up itself accuses nobody.
        """
        return self.answered_s is None or self.unanswered <= MOST_UNANSWERED

    @property
    def is_silent(self) -> bool:
        """Return whether the path is alive and the control process at its end, which answered before, is not."""
        return self._came_back and self.replies > 0

    @property
    def standing(self) -> tuple[bool, bool]:
        """Whether the site is reachable, and whether its control process is silent."""
        return self.is_reachable, self.is_silent

    @property
    def cost_s(self) -> float:
        """The round-trip time to compute with: measured, or the routing's before the first reply."""
        return self.path_cost_ms / 1e3 if self.rtt_s is None else self.rtt_s

    @property
    def port_cost_s(self) -> float:
        """What the first link adds to each round trip, by the counters of its port."""
        if self.port is None:
            return 0.0
        return self.port.cost_s(self.cost_s, self.cost_s if self.least_rtt_s is None else self.least_rtt_s)
