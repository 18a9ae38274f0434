"""What comes out of a link with a rate while its queue is never empty: that is its rate as it really is.

Pure. `impairment` decides when frames leave; what was written is counted by who writes, so that a relay which is
held up shows here. Stdlib only.
"""

from __future__ import annotations

from testbed.emulation.relay.impairment import LinkDirection


class FullRate:
    """Sums of the windows between looks throughout which the queue had something to send."""

    __slots__ = ("_core", "_looked_s", "_written", "octets", "seconds")

    def __init__(self, core: LinkDirection) -> None:
        self._core = core
        self._looked_s: float | None = None
        self._written = 0
        self.octets = 0
        self.seconds = 0.0

    def look(self, now_s: float, written: int) -> None:
        """End a window: `written` bytes have come out so far."""
        settle_s = self._core.longest_delay_s  # a frame comes out that much after it left the queue, at most
        if self._looked_s is not None and self._core.was_busy(self._looked_s - settle_s, now_s):
            self.octets += written - self._written
            self.seconds += now_s - self._looked_s
        self._looked_s, self._written = now_s, written

    @property
    def mbps(self) -> float | None:
        """The rate in these windows; None if there were none."""
        return self.octets * 8e-6 / self.seconds if self.seconds else None
