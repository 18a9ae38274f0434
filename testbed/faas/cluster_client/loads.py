"""What this cluster client sent where: requests that clusters cannot have reported yet, and how often sites ask."""

from __future__ import annotations

import math
from collections import deque

_MOST_KEPT = 10_000  # of a cluster; beyond, it is full by any measure


class Assigned:
    """Requests sent to clusters, each until it is over as predicted; one arrives there some time after it was sent."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[tuple[float, float]]] = {}

    def add(self, cluster: str, now_s: float, takes_ms: float, arrives_ms: float = 0.0) -> None:
        """Note a request that was sent now, and is predicted to arrive and to be over after so long."""
        sent = self._sent.setdefault(cluster, deque(maxlen=_MOST_KEPT))
        sent.append((now_s + arrives_ms / 1e3, now_s + takes_ms / 1e3))

    def since(self, cluster: str, known_s: float | None, now_s: float) -> int:
        """Return how many requests are under way that a cluster had not seen at `known_s`."""
        sent = self._sent.get(cluster)
        if not sent:
            return 0
        while sent and (sent[0][1] <= now_s or (known_s is not None and sent[0][0] <= known_s)):
            sent.popleft()
        seen_s = -math.inf if known_s is None else known_s
        return sum(arrives_s > seen_s and until_s > now_s for arrives_s, until_s in sent)


class RequestRate:
    """How many requests come per second, each counted less as time passes; at first it is what is expected."""

    def __init__(self, expected_per_s: float, window_s: float, now_s: float) -> None:
        self._window_s = window_s
        self._weight = expected_per_s * window_s
        self._as_of_s = now_s

    def add(self, now_s: float) -> None:
        """Count a request."""
        self._weight = self._at(now_s) + 1
        self._as_of_s = max(now_s, self._as_of_s)

    def per_s(self, now_s: float) -> float:
        """Return the rate as of now."""
        return self._at(now_s) / self._window_s

    def _at(self, now_s: float) -> float:
        return self._weight * math.exp(-max(0.0, now_s - self._as_of_s) / self._window_s)
