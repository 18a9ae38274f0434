"""Which messages of a sender are news: those that are later than the last one. Pure.

Sequence numbers wrap around; a sender that restarted counts from one again. It is believed at once if it says so by a
greater epoch, or once it was silent for a lifetime.
"""

from __future__ import annotations

SEQUENCE_SPACE = 1 << 32


class SequenceTracker:
    """The last message of each sender, by its name."""

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._last: dict[str, tuple[int, int]] = {}  # epoch and sequence
        self._last_received_s: dict[str, float] = {}

    def admit(self, sender: str, epoch: int, sequence: int, now_s: float) -> bool:
        """Take note of a message; return False, and note nothing, if it is a replay or overtaken."""
        last_epoch, last = self._last.get(sender, (-1, 0))
        silent = now_s - self._last_received_s.get(sender, now_s) > self._lifetime_s
        newer = epoch > last_epoch or (epoch == last_epoch and _is_newer(sequence, last))
        if not newer and not silent:
            return False
        self._last[sender] = (epoch, sequence)
        self._last_received_s[sender] = now_s
        return True

    def last_received_s(self, sender: str) -> float | None:
        """Return when a sender's last message came; None if none ever did."""
        return self._last_received_s.get(sender)


def _is_newer(sequence: int, last: int) -> bool:
    return 0 < (sequence - last) % SEQUENCE_SPACE < SEQUENCE_SPACE // 2
