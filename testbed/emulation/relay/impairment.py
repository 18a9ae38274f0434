"""When a packet that enters one direction of a link comes out at its other end, if at all.

Pure: the time and the random numbers come in with each packet. Stdlib only. The model, in order:

1. *Loss*: each packet is lost with the same probability, before it takes room or capacity (as with netem).
2. *Rate*: packets are serialised one after the other. `queue_packets` bounds those waiting or being sent; the one
   that finds as many is dropped (tail drop). Packets under way are not in the queue.
3. *Delay*: constant, plus jitter drawn uniformly from [-jitter, +jitter] for each packet, never below zero in all.
4. *Order*: a link is first in, first out. A packet never overtakes the one before, so where packets are closer
   together than the jitter, the mean delay rises a little above the configured one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from random import Random

from testbed.net.port_counters import PortCounters


class Drop(Enum):
    """Why a packet does not come out."""

    LOSS = "loss"
    QUEUE = "queue"


@dataclass(frozen=True)
class Impairment:
    """What one direction of a link does to packets; the meaning is that of `topologies.spec.LinkSpec`."""

    delay_ms: float = 0.0
    """Constant delay."""
    jitter_ms: float = 0.0
    """Drawn uniformly up to this much more and less, for each packet."""
    loss_percent: float = 0.0
    """Probability that a packet is lost."""
    rate_mbps: float | None = None
    """Capacity; null: no limit."""
    queue_packets: int = 1000
    """How many packets wait or are being sent at most, with a rate."""


class LinkDirection:
    """One direction of an impaired link. Counts what arrives and what is dropped."""

    __slots__ = (
        "_busy_since_s",
        "_byte_s",
        "_delay_s",
        "_departures",
        "_jitter_s",
        "_last_s",
        "_longest_delay_s",
        "_loss",
        "_queue_packets",
        "bytes",
        "dropped_loss",
        "dropped_queue",
        "dropped_queue_bytes",
        "packets",
    )

    def __init__(self, impairment: Impairment) -> None:
        self._longest_delay_s = 0.0
        self.change(impairment)
        self._departures: deque[float] = deque()  # when each packet in the queue will have been sent
        self._busy_since_s = float("inf")
        self._last_s = float("-inf")
        self.packets = self.bytes = self.dropped_loss = self.dropped_queue = self.dropped_queue_bytes = 0

    def change(self, impairment: Impairment) -> None:
        """Do this to packets from now on; what is under way keeps its time, and is still not overtaken."""
        self._delay_s = impairment.delay_ms / 1e3
        self._jitter_s = impairment.jitter_ms / 1e3
        self._loss = impairment.loss_percent / 100
        self._byte_s = 0.0 if impairment.rate_mbps is None else 8 / (impairment.rate_mbps * 1e6)
        self._queue_packets = impairment.queue_packets
        self._longest_delay_s = max(self._longest_delay_s, self._delay_s + self._jitter_s)

    def arrive(self, now_s: float, length_bytes: int, rng: Random) -> float | Drop:
        """Take in a packet at `now_s`; return when it comes out, or why it does not. `now_s` must not decrease."""
        self.packets += 1
        self.bytes += length_bytes
        if self._loss and rng.random() < self._loss:
            self.dropped_loss += 1
            return Drop.LOSS
        release_s = now_s
        if self._byte_s:
            departures = self._departures
            while departures and departures[0] <= now_s:
                departures.popleft()
            if departures:
                if len(departures) >= self._queue_packets:
                    self.dropped_queue += 1
                    self.dropped_queue_bytes += length_bytes
                    return Drop.QUEUE
                release_s = departures[-1]
            else:
                self._busy_since_s = now_s
            release_s += length_bytes * self._byte_s
            departures.append(release_s)
        if self._jitter_s:
            release_s += max(0.0, self._delay_s + (2 * rng.random() - 1) * self._jitter_s)
        else:
            release_s += self._delay_s
        if release_s < self._last_s:
            release_s = self._last_s
        self._last_s = release_s
        return release_s

    @property
    def longest_delay_s(self) -> float:
        """How long a packet may be under way once it is sent, at most since the begin."""
        return self._longest_delay_s

    def was_busy(self, since_s: float, until_s: float) -> bool:
        """Return whether there was something to send all this recent time."""
        return self._busy_since_s <= since_s and bool(self._departures) and self._departures[-1] >= until_s

    def port_counters(self) -> PortCounters:
        """Return what the port at its begin has sent and dropped; what the line loses it has sent."""
        dropped = self.dropped_queue
        return PortCounters(self.bytes - self.dropped_queue_bytes, self.packets - dropped, dropped)


class Lateness:
    """A histogram of how late things happened: cheap to feed, exact to 10 µs up to 20 ms."""

    __slots__ = ("_bins", "max_s")

    _BINS_PER_S = 100_000
    _BINS = 2_000

    def __init__(self) -> None:
        self._bins = [0] * (self._BINS + 1)
        self.max_s = 0.0

    def record(self, late_s: float) -> None:
        """Count one event that happened `late_s` after it should."""
        if late_s > self.max_s:
            self.max_s = late_s
        index = int(late_s * self._BINS_PER_S)
        self._bins[index if 0 <= index < self._BINS else (self._BINS if index > 0 else 0)] += 1

    def merge(self, other: Lateness) -> None:
        """Add the events of another histogram."""
        self._bins = [mine + theirs for mine, theirs in zip(self._bins, other._bins, strict=True)]
        self.max_s = max(self.max_s, other.max_s)

    def percentile_ms(self, percent: float) -> float | None:
        """Return the lateness that `percent` of the events did not exceed, rounded up to a bin; None without events."""
        total = sum(self._bins)
        if not total:
            return None
        wanted = percent / 100 * total
        seen = 0
        for index, count in enumerate(self._bins[:-1]):
            seen += count
            if count and seen >= wanted:
                return min((index + 1) / self._BINS_PER_S, self.max_s) * 1e3
        return self.max_s * 1e3

    def summary(self) -> dict[str, float | None]:
        """Return the percentiles that results record, in ms."""
        return {
            "p50_ms": self.percentile_ms(50),
            "p95_ms": self.percentile_ms(95),
            "p99_ms": self.percentile_ms(99),
            "max_ms": self.max_s * 1e3,
        }
