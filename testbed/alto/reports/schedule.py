"""When a reporter reports: once in each interval, at a moment of its own, so that not all report at once. Pure."""

from __future__ import annotations

from zlib import crc32


class Schedule:
    """The reports of one reporter, from `start_s` on; its name says where in the interval it reports."""

    def __init__(self, reporter: str, interval_s: float, start_s: float) -> None:
        self._interval_s = interval_s
        self.next_s = start_s + interval_s * crc32(reporter.encode()) / (1 << 32)

    def take_due(self, now_s: float) -> bool:
        """Return whether a report is due, which is then taken as sent; one that was held up owes no others."""
        if now_s < self.next_s:
            return False
        missed = int((now_s - self.next_s) / self._interval_s)
        self.next_s += (missed + 1) * self._interval_s
        return True
