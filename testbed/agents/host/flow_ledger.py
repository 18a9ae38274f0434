"""Every flow key an instance saw: the ground truth for affinity, in memory that stays bounded.

Owns the rows of the `affinity` table. A flow that falls silent is written and forgotten; should it speak
again, it gets another row under the same key. Pure: the time comes in, rows go out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

IDLE_S = 30.0


class FlowKey(NamedTuple):
    """The five fields as the instance sees them; `dst` is its own address (the D-BID)."""

    proto: str
    src: str
    src_port: int
    dst: str
    dst_port: int


@dataclass
class FlowTally:
    """What was received of one flow; times in seconds on CLOCK_MONOTONIC."""

    first_s: float
    last_s: float
    packets: int
    bytes: int


Row = dict[str, object]


class FlowLedger:
    """Tally flows; hand out their rows when they end or idle."""

    def __init__(self, instance: str, service: str, idle_s: float = IDLE_S) -> None:
        self._identity: Row = {"instance": instance, "service": service}
        self._idle_s = idle_s
        self._open: dict[FlowKey, FlowTally] = {}
        self._ended: list[Row] = []

    def packet(self, key: FlowKey, now_s: float, size_bytes: int) -> None:
        """Count one packet of a flow that has no end of its own (UDP)."""
        tally = self._open.get(key)
        if tally is None:
            self._open[key] = FlowTally(now_s, now_s, 1, size_bytes)
        else:
            tally.last_s = now_s
            tally.packets += 1
            tally.bytes += size_bytes

    def ended(self, key: FlowKey, tally: FlowTally) -> None:
        """Take in a connection that has ended, with its whole tally."""
        self._ended.append(self._row(key, tally, ended=1))

    def due_rows(self, now_s: float) -> list[Row]:
        """Return, once, the rows of flows that ended or idled."""
        for key in [key for key, tally in self._open.items() if now_s - tally.last_s >= self._idle_s]:
            self._ended.append(self._row(key, self._open.pop(key)))
        rows, self._ended = self._ended, []
        return rows

    def all_rows(self) -> list[Row]:
        """Return, once, the rows of every flow there is."""
        for key, tally in self._open.items():
            self._ended.append(self._row(key, tally))
        self._open.clear()
        rows, self._ended = self._ended, []
        return rows

    def _row(self, key: FlowKey, tally: FlowTally, ended: int | None = None) -> Row:
        return {**self._identity, **key._asdict(), **vars(tally), "ended": ended}
