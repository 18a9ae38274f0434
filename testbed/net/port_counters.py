"""What a port has sent and dropped, and when it was counted."""

from __future__ import annotations

from typing import NamedTuple


class PortCounters(NamedTuple):
    """What a port has sent and dropped since it was made."""

    sent_bytes: int
    sent_packets: int
    dropped_packets: int


class Reading(NamedTuple):
    """Counters, and when they were so: a port may be read later than it was counted."""

    counters: PortCounters
    time_s: float
