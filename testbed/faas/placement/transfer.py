"""How long octets take over a path by TCP, from its round trip, the bandwidth that is left, and its loss.

* Slow start: ten segments in the first round trip (RFC 6928), twice as many in each that follows, until a window takes
  as long to send as its acknowledgement to come; from then on the rate counts alone.
* The rate: the bandwidth that is left, or what TCP gets out of a path with this loss, MSS / RTT * sqrt(3 / (2 p))
  (Mathis, Semke, Mahdavi, Ott 1997), if that is less.
* A single packet that is lost, at the begin or the end of an exchange, costs a retransmission time-out of 1 s
  (RFC 6298, section 2.1).

What is not known costs nothing. No figure makes a transfer shorter by being worse.
"""

from __future__ import annotations

import math

from testbed.faas.placement.views import PathView

_SEGMENT_BYTES = 1460
_FIRST_WINDOW_BYTES = 10 * _SEGMENT_BYTES
_TIMEOUT_MS = 1000.0
_MOST_LOSS = 0.9  # above, nothing comes through, and all is equally bad
_BYTES_PER_MS = 125.0  # at 1 Mbit/s
_LEAST_MBPS = 1e-6


def exchange_ms(path: PathView) -> float:
    """Return the time of one question and its answer, of a packet each."""
    loss = _loss(path)
    return (path.round_trip_ms or 0.0) + loss / (1 - loss) * _TIMEOUT_MS


def transfer_ms(path: PathView, size_bytes: int) -> float:
    """Return how long the octets of a message take to send, over a connection that has just begun."""
    round_trip_ms, bytes_per_ms = path.round_trip_ms or 0.0, _rate(path)
    left, window, taken_ms = float(size_bytes), float(_FIRST_WINDOW_BYTES), 0.0
    while left > window and window / bytes_per_ms < round_trip_ms:
        taken_ms += round_trip_ms
        left -= window
        window *= 2
    return taken_ms + left / bytes_per_ms


def _rate(path: PathView) -> float:
    """Return the bytes per ms in the long run."""
    left = math.inf if path.bandwidth_mbps is None else max(_LEAST_MBPS, path.bandwidth_mbps) * _BYTES_PER_MS
    loss, round_trip_ms = _loss(path), path.round_trip_ms or 0.0
    if loss <= 0 or round_trip_ms <= 0:
        return left
    return min(left, _SEGMENT_BYTES / round_trip_ms * math.sqrt(1.5 / loss))


def _loss(path: PathView) -> float:
    return min(_MOST_LOSS, (path.loss_percent or 0.0) / 100)
