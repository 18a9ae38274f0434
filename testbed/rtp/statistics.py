"""What one receiver knows of one RTP stream: loss, reordering, duplicates, jitter, one-way delay.

Owns the figures of a stream, with the loss of RFC 3550 appendix A.3; `sequence` places its packets, `jitter` has its
jitter. Bounded memory. Pure, stdlib only: packets, sockets and clocks are the callers' business (service instances at
one end, traffic generators at the other).

Two deliberate differences from appendix A, both because a measurement wants every packet accounted for:
there is no probation (a stream is already named by its source address and SSRC), so the first packet
counts; and duplicates are recognized, so that they never hide a loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from testbed.rtp.jitter import Jitter, clock_rate_hz
from testbed.rtp.sequence import Place, ReceivedSequence


@dataclass(frozen=True)
class StreamSnapshot:
    """The numeric columns of the `rtp` table. None: nothing was received that could say.

    `packets_received` counts every accepted packet, duplicates included (RFC 3550 section 6.4.1);
    `packets_lost` is `packets_expected` less the distinct ones, so it is never negative.
    """

    first_s: float | None
    last_s: float | None
    packets_expected: int
    packets_received: int
    packets_lost: int
    loss_fraction: float | None
    duplicates: int
    reordered: int
    jitter_ms: float | None
    delay_mean_ms: float | None
    delay_p95_ms: float | None
    delay_max_ms: float | None


@dataclass(frozen=True)
class ReceptionReport:
    """The fields of an RTCP report block (RFC 3550 section 6.4.1), already clamped to their widths."""

    fraction_lost: int
    cumulative_lost: int
    extended_highest_sequence: int
    jitter_timestamp_units: int


class DelayStatistics:
    """Mean, maximum and quantiles of delays, in memory that does not grow with their number.

    Mean and maximum are exact; a quantile is within 0.5 % (logarithmic buckets of 1 %), 1 µs being the least.
    """

    _GROWTH_LOG = math.log(1.01)
    _LEAST_S = 1e-6

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.max_s = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, delay_s: float) -> None:
        """Take one delay in; a negative one (clocks that disagree) counts as zero."""
        delay_s = max(delay_s, 0.0)
        self.count += 1
        self.total_s += delay_s
        if delay_s > self.max_s:
            self.max_s = delay_s
        bucket = int(math.log(delay_s / self._LEAST_S) / self._GROWTH_LOG) if delay_s > self._LEAST_S else 0
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def mean_s(self) -> float | None:
        """Return the mean, None before the first delay."""
        return self.total_s / self.count if self.count else None

    def quantile_s(self, fraction: float) -> float | None:
        """Return the delay that `fraction` (0..1] of all delays do not exceed, None before the first."""
        rank = max(1, math.ceil(fraction * self.count))
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                middle_s = self._LEAST_S * math.exp((bucket + 0.5) * self._GROWTH_LOG)
                return min(middle_s, self.max_s)
        return None


class StreamStatistics:
    """Receiver statistics of one stream (one SSRC from one source address).

    A sender that begins again elsewhere begins a new count of expected packets on top of the old one: what was in
    between is nobody's loss. `clock_rate_hz`: of all its payload types; None: by each, or found in the stream.
    """

    def __init__(self, clock_rate_hz: int | None = None) -> None:
        self._clock_rate_hz = clock_rate_hz
        self._sequence = ReceivedSequence()
        self._jitters: dict[int, Jitter] = {}  # by payload type: an event in a call has no part in the voice's
        self._clear()

    def _clear(self) -> None:
        self.bytes_received = 0
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.delays = DelayStatistics()
        self._reported_expected = 0
        self._reported_received = 0

    def begin_part(self) -> None:
        """Count from zero, as of another stream; what is missing before its first packet counts in the new part."""
        self._sequence.begin_part()
        self._jitters.clear()
        self._clear()

    def receive(
        self,
        sequence: int,
        timestamp: int,
        arrival_s: float,
        sent_s: float | None = None,
        size_bytes: int = 0,
        payload_type: int = 0,
    ) -> bool:
        """Account for one packet; tell whether it was accepted (False: held back until another one confirms it).

        `sequence`, `timestamp`, `payload_type`: as in the RTP header. `arrival_s`, `sent_s`: seconds on one clock;
        leave `sent_s` out where the sending time is not known.
        """
        place = self._sequence.take(sequence, timestamp, arrival_s)
        if place is Place.HELD_BACK:
            return False
        self.bytes_received += size_bytes
        if self.first_s is None:
            self.first_s = arrival_s
        self.last_s = arrival_s
        if place is Place.RESTARTED:
            for jitter in self._jitters.values():
                jitter.restart()
        if place is not Place.DUPLICATE:
            self._jitter_of(payload_type).add(timestamp, arrival_s, sent_s)
            if sent_s is not None:
                self.delays.add(arrival_s - sent_s)
        return True

    @property
    def packets_expected(self) -> int:
        """How many packets the sender must have sent, by their sequence numbers."""
        return self._sequence.expected

    @property
    def packets_received(self) -> int:
        """How many packets were accepted, duplicates included."""
        return self._sequence.received

    @property
    def duplicates(self) -> int:
        """How many of them had been received before."""
        return self._sequence.duplicates

    @property
    def restarts(self) -> int:
        """How often the sender began again elsewhere."""
        return self._sequence.restarts

    @property
    def rejected(self) -> int:
        """How many packets were out of any plausible order, and no second one confirmed them."""
        return self._sequence.rejected

    def snapshot(self) -> StreamSnapshot:
        """Return the statistics so far; the stream may go on."""
        expected = self.packets_expected
        lost = max(0, expected - (self.packets_received - self.duplicates))
        return StreamSnapshot(
            first_s=self.first_s,
            last_s=self.last_s,
            packets_expected=expected,
            packets_received=self.packets_received,
            packets_lost=lost,
            loss_fraction=lost / expected if expected else None,
            duplicates=self.duplicates,
            reordered=self._sequence.reordered,
            jitter_ms=_milliseconds(self._main_jitter().seconds),
            delay_mean_ms=_milliseconds(self.delays.mean_s()),
            delay_p95_ms=_milliseconds(self.delays.quantile_s(0.95)),
            delay_max_ms=_milliseconds(self.delays.max_s) if self.delays.count else None,
        )

    def reception_report(self) -> ReceptionReport:
        """Return the next RTCP report block's figures (RFC 3550 A.3); the lost fraction is since the last call."""
        expected = self.packets_expected
        expected_interval = expected - self._reported_expected
        lost_interval = expected_interval - (self.packets_received - self._reported_received)
        self._reported_expected = expected
        self._reported_received = self.packets_received
        fraction = (lost_interval << 8) // expected_interval if expected_interval > 0 and lost_interval > 0 else 0
        lost = expected - self.packets_received
        return ReceptionReport(
            fraction_lost=min(fraction, 255),
            cumulative_lost=max(-0x800000, min(lost, 0x7FFFFF)),
            extended_highest_sequence=self._sequence.extended_highest % (1 << 32),
            jitter_timestamp_units=self._main_jitter().timestamp_units,
        )

    def _jitter_of(self, payload_type: int) -> Jitter:
        jitter = self._jitters.get(payload_type)
        if jitter is None:
            jitter = self._jitters[payload_type] = Jitter(self._clock_rate_hz or clock_rate_hz(payload_type))
        return jitter

    def _main_jitter(self) -> Jitter:
        """Return that of the payload type that most packets have."""
        return max(self._jitters.values(), key=lambda jitter: jitter.packets, default=Jitter(None))


def _milliseconds(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1e3
