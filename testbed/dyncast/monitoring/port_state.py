"""What a D-Router makes of the counters of its own ports: how full each is, what it drops, what that costs a path.

Pure; how the counters are read is not known here. The cost of a path by its first link (docs/decisions/0017 has the
reasons), to be added to each measured round trip:

    queueing = max(0, min(rho / (1 - rho), K) s - (rtt - least rtt))
    loss     = d / (1 - d) (rtt + RTO)

`rho` is the load that the port is offered over its rate (what it sends and drops), `s` the time to send its mean
packet, `K` the packets that fit its queue: the mean wait of an M/M/1 queue, less what the probes have waited already.
`d`, at most 1/2, is the share of packets that the port drops, and RTO the least retransmission timeout. Both figures
are the larger of the last reading and the smoothed one: that a port is full is believed at once, that it has emptied by
and by. Both come to next to nothing on a port that is neither
full nor drops, and where the rate is not known there is no utilisation. Ports of other routers are not seen: what
happens further on shows in the round trips alone. Section 4.1 of the Dyncast architecture has D-Routers monitor the
network state between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from testbed.net.port_counters import PortCounters

_TIME_CONSTANT_S = 2.0  # of the smoothing: what is so for two seconds is believed by two thirds
_LEAST_RTO_S = 0.2  # of Linux
_MOST_DROP_SHARE = 0.5


@dataclass(frozen=True)
class Port:
    """A port of a D-Router: its name, its rate (None: not known) and the packets that fit its queue."""

    name: str
    rate_bps: float | None = None
    queue_packets: int = 1000


class PortState:
    """One port, recently. Figures are None until counters came twice."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.counters: PortCounters | None = None
        self.sent_bps: float | None = None
        self.drop_share: float | None = None
        self._last_bps = self._last_drop_share = 0.0
        self.read_s = 0.0
        self._packet_bytes = 0.0

    def on_counters(self, counters: PortCounters, now_s: float) -> None:
        """Take in the counters of now; those of a port that was created again start over."""
        last, self.counters = self.counters, counters
        passed_s, self.read_s = now_s - self.read_s, now_s
        if last is None or passed_s <= 0 or any(now < then for now, then in zip(counters, last, strict=True)):
            return
        sent_bytes, sent, dropped = (now - then for now, then in zip(counters, last, strict=True))
        weight = 1.0 - math.exp(-passed_s / _TIME_CONSTANT_S)
        self._last_bps = 8 * sent_bytes / passed_s
        self._last_drop_share = dropped / (sent + dropped) if dropped else 0.0
        self.sent_bps = _smoothed(self.sent_bps, self._last_bps, weight)
        self.drop_share = _smoothed(self.drop_share, self._last_drop_share, weight)
        if sent:
            self._packet_bytes = _smoothed(self._packet_bytes or None, sent_bytes / sent, weight)

    @property
    def utilisation(self) -> float | None:
        """The share of its rate that it sends; None if either is not known."""
        if self.sent_bps is None or self.port.rate_bps is None:
            return None
        return self.sent_bps / self.port.rate_bps

    @property
    def queueing_s(self) -> float:
        """How long a packet is expected to wait for those before it, by the load that is offered."""
        if self.sent_bps is None or self.port.rate_bps is None:
            return 0.0
        rho = max(self.sent_bps, self._last_bps) / (1 - self._drops) / self.port.rate_bps
        ahead = self.port.queue_packets if rho >= 1 else min(rho / (1 - rho), self.port.queue_packets)
        return ahead * 8 * self._packet_bytes / self.port.rate_bps

    def cost_s(self, rtt_s: float, least_rtt_s: float) -> float:
        """Return what the port adds to a round trip that was measured; never less than nothing."""
        drops = self._drops
        waited_s = rtt_s - least_rtt_s
        return max(0.0, self.queueing_s - waited_s) + drops / (1 - drops) * (rtt_s + _LEAST_RTO_S)

    @property
    def _drops(self) -> float:
        return min(max(self.drop_share or 0.0, self._last_drop_share), _MOST_DROP_SHARE)


def _smoothed(former: float | None, sample: float, weight: float) -> float:
    return sample if former is None else former + weight * (sample - former)
