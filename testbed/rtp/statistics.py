"""What one receiver knows of one RTP stream: loss, reordering, duplicates, jitter, one-way delay.

Owns the arithmetic of RFC 3550 appendices A.1 (sequence numbers), A.3 (loss) and A.8 (jitter) over any
number of packets in bounded memory. Pure, stdlib only: packets, sockets and clocks are the callers'
business (service instances at one end, traffic generators at the other).

Two deliberate differences from appendix A, both because a measurement wants every packet accounted for:
there is no probation (a stream is already named by its source address and SSRC), so the first packet
counts; and duplicates are told apart, so that they never hide a loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32
MAX_DROPOUT = 3000
MAX_MISORDER = 100

DYNAMIC_CLOCK_RATE_HZ = 90_000
_STATIC_CLOCK_RATES_HZ = {
    **dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18), 8_000),
    **dict.fromkeys((10, 11), 44_100),
    6: 16_000,
    16: 11_025,
    17: 22_050,
}


def clock_rate_hz(payload_type: int) -> int:
    """Return the RTP clock rate of a payload type: RFC 3551's for the static ones, 90 kHz (video) for the rest."""
    return _STATIC_CLOCK_RATES_HZ.get(payload_type, DYNAMIC_CLOCK_RATE_HZ)


@dataclass(frozen=True)
class StreamSnapshot:
    """The numeric columns of the `rtp` table. None: nothing was received that could tell.

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

    `max_dropout`, `max_misorder`: the limits of RFC 3550 A.1. A jump beyond them is taken for a restart of
    the sender only when a second packet follows in sequence; until then the packet is held back. A restart
    begins a new count of expected packets on top of the old one: what was in between is nobody's loss.
    A receiver that knows its sender never restarts may raise `max_dropout` (to at most 32767) and so
    account for outages longer than 3000 packets.
    """

    def __init__(self, clock_rate_hz: int, *, max_dropout: int = MAX_DROPOUT, max_misorder: int = MAX_MISORDER) -> None:
        self._clock_rate_hz = clock_rate_hz
        self._max_dropout = max_dropout
        self._max_misorder = max_misorder
        self._seen_mask = (1 << (max_misorder + 1)) - 1

        self._base = 0  # extended sequence numbers
        self._highest = -1
        self._seen = 0  # bit i: the packet `_highest - i` was received
        self._awaited: int | None = None  # the sequence number that would confirm a restart
        self._expected_before_restart = 0

        self.packets_received = 0
        self.bytes_received = 0
        self.duplicates = 0
        self.reordered = 0
        self.restarts = 0
        self.rejected = 0  # packets out of any plausible order that no second one confirmed
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.delays = DelayStatistics()

        self._jitter = 0.0  # in timestamp units, as RFC 3550 has it
        self._last_timestamp: int | None = None
        self._last_arrival_s = 0.0
        self._reported_expected = 0
        self._reported_received = 0

    def receive(
        self, sequence: int, timestamp: int, arrival_s: float, sent_s: float | None = None, size_bytes: int = 0
    ) -> bool:
        """Account for one packet; tell whether it was accepted (False: rejected or held back by A.1).

        `sequence`, `timestamp`: as in the RTP header. `arrival_s`, `sent_s`: seconds on one clock; leave
        `sent_s` out where the sending time is not known.
        """
        duplicates_before = self.duplicates
        if not self._accept_sequence(sequence):
            return False
        self.packets_received += 1
        self.bytes_received += size_bytes
        if self.first_s is None:
            self.first_s = arrival_s
        self.last_s = arrival_s
        if self.duplicates == duplicates_before:
            self._update_jitter(timestamp, arrival_s)
            if sent_s is not None:
                self.delays.add(arrival_s - sent_s)
        return True

    @property
    def packets_expected(self) -> int:
        """How many packets the sender must have sent, by their sequence numbers."""
        return self._expected_before_restart + self._highest - self._base + 1

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
            reordered=self.reordered,
            jitter_ms=self._jitter / self._clock_rate_hz * 1e3 if self.packets_received > 1 else None,
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
            extended_highest_sequence=max(0, self._highest - SEQUENCE_MODULUS) % (1 << 32),
            jitter_timestamp_units=int(self._jitter) % (1 << 32),
        )

    def _accept_sequence(self, sequence: int) -> bool:
        """Place one sequence number among those seen (RFC 3550 A.1); False: not (yet) credible."""
        if self._highest < 0:
            self._begin(sequence)
            return True
        ahead = (sequence - self._highest) % SEQUENCE_MODULUS
        if 0 < ahead < self._max_dropout:
            self._highest += ahead
            # Shifting by more than the mask's width forgets everything, which is what is wanted.
            self._seen = ((self._seen << min(ahead, self._max_misorder + 1)) | 1) & self._seen_mask
        elif ahead == 0 or ahead > SEQUENCE_MODULUS - self._max_misorder:
            self._accept_late((SEQUENCE_MODULUS - ahead) % SEQUENCE_MODULUS)
        elif sequence == self._awaited:
            self._restart(sequence)
        else:
            self.rejected += 1
            self._awaited = (sequence + 1) % SEQUENCE_MODULUS
            return False
        self._awaited = None
        return True

    def _begin(self, sequence: int) -> None:
        # One cycle up, so that packets overtaken by the very first one still have a number above zero.
        self._base = self._highest = SEQUENCE_MODULUS + sequence
        self._seen = 1

    def _accept_late(self, behind: int) -> None:
        """Take in a packet `behind` places below the highest: a duplicate, or one that was overtaken."""
        bit = 1 << behind
        if self._seen & bit:
            self.duplicates += 1
            return
        self._seen |= bit
        self.reordered += 1
        self._base = min(self._base, self._highest - behind)

    def _restart(self, sequence: int) -> None:
        """Begin anew at the packet that was held back, which the present one has just confirmed."""
        self._expected_before_restart = self.packets_expected
        self._begin(sequence)
        self._base -= 1
        self._seen = 0b11
        self.packets_received += 1
        self.rejected -= 1
        self.restarts += 1
        self._last_timestamp = None  # its time stamps have a new random offset: no jitter across the seam

    def _update_jitter(self, timestamp: int, arrival_s: float) -> None:
        if self._last_timestamp is not None:
            stamp_gap = (timestamp - self._last_timestamp) % TIMESTAMP_MODULUS
            if stamp_gap >= TIMESTAMP_MODULUS // 2:
                stamp_gap -= TIMESTAMP_MODULUS
            transit_change = abs((arrival_s - self._last_arrival_s) * self._clock_rate_hz - stamp_gap)
            self._jitter += (transit_change - self._jitter) / 16
        self._last_timestamp = timestamp
        self._last_arrival_s = arrival_s


def _milliseconds(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1e3
