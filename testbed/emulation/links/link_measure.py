"""What one direction of a link did to frames sent for the purpose, held against its configuration.

Owns how many frames it takes to measure a rate, which rate their arrivals show, and how far off a measurement is. Pure:
frames are sent and timed in `link_probes`; who calls what how bad is decided elsewhere.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from topologies.spec import LinkSpec

PROBE_BYTES = 60
TRAIN_FRAME_BYTES = 1414
CROSSING_MS = 0.25  # what relay and kernel take for one link at rest; 0.15 ms was seen

_TRAIN_MS = 40.0  # so long a train of frames is sent for, where the queue holds it
_TRAIN_LEAST_MS, _TRAIN_MOST_MS = 2.0, 1000.0  # a shorter one measures the machine, a longer one keeps a run waiting
_TRAIN_MOST_FRAMES = 65


@dataclass(frozen=True)
class MeasuredDirection:
    """One direction of a link (`a_to_b` or `b_to_a`), at rest.

    `sent`, `received`: small frames, the fastest of which took `least_ms`. `rate_mbps`: that of trains of frames; None
    where it has none, or none that can be measured.
    """

    label: str
    direction: str
    spec: LinkSpec
    sent: int
    received: int
    least_ms: float | None
    rate_mbps: float | None

    @property
    def name(self) -> str:
        """Return what a reason calls it."""
        return f"{self.label} ({self.direction})"

    @property
    def configured_ms(self) -> float:
        """How long a small frame takes, but for jitter."""
        return self.spec.delay_ms + (frame_ms(PROBE_BYTES, self.spec) or 0.0)

    @property
    def early_ms(self) -> float:
        """How much sooner than jitter allows a frame arrived."""
        if self.least_ms is None:
            return 0.0
        return max(0.0, self.configured_ms - min(self.spec.jitter_ms, self.spec.delay_ms) - self.least_ms)

    @property
    def late_ms(self) -> float:
        """How much later than jitter and the crossing of a link allow the fastest frame arrived."""
        if self.least_ms is None:
            return 0.0
        return max(0.0, self.least_ms - self.configured_ms - self.spec.jitter_ms - CROSSING_MS)

    @property
    def rate_error(self) -> float | None:
        """By which share the time that a train took is off, beyond what jitter and the crossing can do."""
        if self.rate_mbps is None or self.spec.rate_mbps is None:
            return None
        train_ms = (train_frames(self.spec) - 1) * (frame_ms(TRAIN_FRAME_BYTES, self.spec) or 0.0)
        allowed = (2 * self.spec.jitter_ms + CROSSING_MS) / train_ms
        return max(0.0, abs(self.spec.rate_mbps / self.rate_mbps - 1) - allowed)

    @property
    def loss_chance(self) -> float:
        """Return an upper bound of the chance to lose so many frames, or so few."""
        return chance_of_losses(self.sent, self.sent - self.received, self.spec.loss_percent / 100)


def frame_ms(length_bytes: int, spec: LinkSpec) -> float | None:
    """Return how long a link takes to send a frame; None without a rate."""
    return None if spec.rate_mbps is None else length_bytes * 8 / spec.rate_mbps / 1e3


def train_frames(spec: LinkSpec) -> int:
    """Return how many large frames, sent at once, measure the rate of a link; 0 where none do."""
    each_ms = frame_ms(TRAIN_FRAME_BYTES, spec)
    if each_ms is None:
        return 0
    gaps = min(max(1, math.ceil(_TRAIN_MS / each_ms)), _TRAIN_MOST_FRAMES - 1, spec.queue_packets - 1)
    return gaps + 1 if gaps and _TRAIN_LEAST_MS <= gaps * each_ms <= _TRAIN_MOST_MS else 0


def train_rate_mbps(trains: Iterable[Sequence[float]]) -> float | None:
    """Return the rate of a link from when frames arrived, in ms after the train that each belongs to was sent.

    What a link loses takes none of its time: the frames that arrive are as far apart as if no other had been sent. A
    busy machine makes frames late, never early: of those at one place in their trains, the soonest counts. The first
    ones may be late in every train; hence the median of the spans of half a train, not the span of the whole.
    """
    measured = [sorted(train) for train in trains if len(train) > 1]
    soonest: list[float] = [min(place) for place in zip(*measured, strict=False)]
    if not soonest:
        return None
    half = len(soonest) // 2
    span_ms = statistics.median(late - early for early, late in zip(soonest, soonest[half:], strict=False))
    return half * TRAIN_FRAME_BYTES * 8 / 1e3 / max(span_ms, 1e-6)


def chance_of_losses(packets: int, lost: int, probability: float) -> float:
    """Return an upper bound of the chance that random loss makes so few or so many losses, or fewer or more still.

    Chernoff's bound on the binomial tail, exp(-n D(lost/n || p)), times two for two sides: nothing that it calls
    impossible is likely, and it needs no table for millions of packets.
    """
    if not packets:
        return 1.0
    share = lost / packets
    divergence = _divergence(share, probability) + _divergence(1 - share, 1 - probability)
    return min(1.0, 2 * math.exp(-packets * divergence))


def _divergence(observed: float, expected: float) -> float:
    if observed == 0:
        return 0.0
    return math.inf if expected == 0 else observed * math.log(observed / expected)
