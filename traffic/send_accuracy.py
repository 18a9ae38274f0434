"""How faithfully a schedule was kept: what was due, what was sent, how late. Pure; knows nothing of sockets."""

from __future__ import annotations

from testbed.rtp.statistics import DelayStatistics


class SendAccuracy:
    """Requested against achieved sending of one kind of thing (requests or packets), in bounded memory."""

    def __init__(self) -> None:
        self.requested = 0
        self.achieved = 0
        self.lateness = DelayStatistics()
        self._first_due_s = 0.0
        self._last_due_s = 0.0
        self._last_sent_s = 0.0

    def due(self, due_s: float) -> None:
        """Count one thing whose time has come, whether or not it can be sent."""
        if not self.requested or due_s < self._first_due_s:
            self._first_due_s = due_s
        if not self.requested or due_s > self._last_due_s:
            self._last_due_s = due_s
        self.requested += 1

    def sent(self, due_s: float, sent_s: float) -> None:
        """Count one thing that was sent; its `due` has been counted before."""
        self.achieved += 1
        self._last_sent_s = sent_s
        self.lateness.add(sent_s - due_s)

    def summary(self) -> dict[str, object]:
        """Return counts, rates (None for fewer than two) and lateness, ready for JSON.

        The requested rate is that between the first and the last due time; the achieved one spreads what
        was sent over the same span, stretched to the last sending time if that came later.
        """
        requested_per_s = achieved_per_s = None
        span_s = self._last_due_s - self._first_due_s
        if self.requested > 1 and span_s > 0:
            requested_per_s = (self.requested - 1) / span_s
            stretch = max(1.0, (self._last_sent_s - self._first_due_s) / span_s)
            achieved_per_s = requested_per_s * self.achieved / self.requested / stretch
        return {
            "requested": self.requested,
            "achieved": self.achieved,
            "requested_rate_per_s": requested_per_s,
            "achieved_rate_per_s": achieved_per_s,
            "lateness_ms": lateness_ms(self.lateness),
        }


def lateness_ms(lateness: DelayStatistics) -> dict[str, float | None]:
    """Return median, 99th percentile and maximum in ms; None where nothing was sent."""
    median_s, p99_s = lateness.quantile_s(0.5), lateness.quantile_s(0.99)
    return {
        "median": None if median_s is None else median_s * 1e3,
        "p99": None if p99_s is None else p99_s * 1e3,
        "max": lateness.max_s * 1e3 if lateness.count else None,
    }
