"""The interarrival jitter of an RTP stream: RFC 3550 appendix A.8, by a clock rate that is known or found.

Owns the clock rates of RFC 3551's static payload types, and finding that of a dynamic one in the stream itself, by the
rates that RTP profiles use. Without a clock rate there is no jitter. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from testbed.rtp.sequence import TIMESTAMP_MODULUS

_STATIC_CLOCK_RATES_HZ = {
    **dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18), 8_000),
    **dict.fromkeys((10, 11), 44_100),
    **dict.fromkeys((14, 25, 26, 28, 31, 32, 33, 34), 90_000),
    6: 16_000,
    16: 11_025,
    17: 22_050,
}
_USUAL_CLOCK_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 90_000, 96_000, 192_000)
_FINDING_S = 2.0  # of a stream: a delay that changes by 60 ms within is no more than the tolerance
_TOLERANCE = 0.03  # usual rates are further apart
_MOST_WAITING = 8192


def clock_rate_hz(payload_type: int) -> int | None:
    """Return the RTP clock rate of a payload type as RFC 3551 has it; None for those that a session defines."""
    return _STATIC_CLOCK_RATES_HZ.get(payload_type)


class _Arrival(NamedTuple):
    timestamp: int
    arrival_s: float
    sent_s: float  # of a sender that does not say it, the arrival


class Jitter:
    """Jitter of the packets of one payload type, in the order of their arrival."""

    def __init__(self, clock_rate_hz: int | None) -> None:
        self.packets = 0
        self._clock_rate_hz = clock_rate_hz
        self._jitter_s = 0.0
        self._last: _Arrival | None = None
        self._waiting: list[_Arrival] = []  # for a clock rate

    def add(self, timestamp: int, arrival_s: float, sent_s: float | None = None) -> None:
        """Take in a packet."""
        self.packets += 1
        arrival = _Arrival(timestamp, arrival_s, arrival_s if sent_s is None else sent_s)
        if self._clock_rate_hz is None:
            self._find_clock_rate(arrival)
        else:
            self._update(arrival, self._clock_rate_hz)

    def restart(self) -> None:
        """Compare nothing across a seam: time stamps have a new random offset."""
        self._last = None
        self._waiting.clear()

    @property
    def seconds(self) -> float | None:
        """The estimate; None where there is no clock rate, or no second packet."""
        return None if self._clock_rate_hz is None or self.packets < 2 else self._jitter_s

    @property
    def timestamp_units(self) -> int:
        """The estimate as RTCP reports it, 0 if there is none."""
        return int(round((self.seconds or 0.0) * (self._clock_rate_hz or 0), 6)) % TIMESTAMP_MODULUS

    def _find_clock_rate(self, arrival: _Arrival) -> None:
        # Packets of a video frame have one time stamp: the first of each frame tells how time goes.
        waiting = self._waiting
        waiting.append(arrival)
        if len(waiting) > _MOST_WAITING:
            waiting.clear()
        elif arrival.sent_s - waiting[0].sent_s >= _FINDING_S and arrival.timestamp != waiting[-2].timestamp:
            self._clock_rate_hz = _usual_rate(waiting[0], arrival)
            if self._clock_rate_hz is None:
                del waiting[: len(waiting) // 2]
                return
            for earlier in waiting:
                self._update(earlier, self._clock_rate_hz)
            waiting.clear()

    def _update(self, arrival: _Arrival, clock_rate_hz: int) -> None:
        if self._last is not None:
            stamp_gap = (arrival.timestamp - self._last.timestamp) % TIMESTAMP_MODULUS
            if stamp_gap >= TIMESTAMP_MODULUS // 2:
                stamp_gap -= TIMESTAMP_MODULUS
            transit_change_s = abs(arrival.arrival_s - self._last.arrival_s - stamp_gap / clock_rate_hz)
            self._jitter_s += (transit_change_s - self._jitter_s) / 16
        self._last = arrival


def _usual_rate(first: _Arrival, last: _Arrival) -> int | None:
    """Return the usual clock rate by which a stream's time passed as ours did; None if there is none."""
    ticks = (last.timestamp - first.timestamp) % TIMESTAMP_MODULUS
    rate_hz = ticks / (last.sent_s - first.sent_s)
    nearest = min(_USUAL_CLOCK_RATES_HZ, key=lambda usual: abs(usual - rate_hz))
    return nearest if abs(nearest - rate_hz) <= _TOLERANCE * nearest else None
