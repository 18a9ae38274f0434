"""A D-Router's reports to an ALTO server: what it measured of its paths and sent by its ports, once in each interval.

Owns what becomes of measurements on the way into a report (`testbed.alto.reports`), and the counters of ports at the
report before. Reports go out by the socket for in-band messages; one that the kernel does not take is counted as lost.
"""

from __future__ import annotations

import math
import socket
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from ryu_apps.dyncast.config.alto_reports import AltoReportsConfig
from testbed.alto.reports import codec
from testbed.alto.reports.messages import DelayStatistics, LinkReport, NetworkReport, Origin, PathReport
from testbed.alto.reports.schedule import Schedule
from testbed.dyncast.monitoring.path_samples import PathSamples
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.monitoring.port_state import PortState

KIND = "alto_report"  # of a message, in the count of what was sent
_PEER = "alto"
_LEAST_PATIENCE_S = 1.0  # a probe that took longer than this, and than to the next one, is lost


class Measurer(Protocol):
    """A node that measures its paths and ports."""

    @property
    def paths(self) -> Mapping[str, PathState]:
        """Its paths, by site."""

    @property
    def ports(self) -> Mapping[str, PortState]:
        """Its ports, by name."""

    @property
    def counters(self) -> Counter[str]:
        """What else it counts."""


class AltoReports:
    """The reports of one D-Router from `start_s` on; a process that begins again begins later."""

    def __init__(
        self,
        config: AltoReportsConfig,
        site: str,
        measurer: Measurer,
        probe_interval_s: float,
        start_s: float,
        sending: socket.socket,
        count: Callable[[str, str, str, int], None],
    ) -> None:
        self._config = config
        self._site = site
        self._measurer = measurer
        self._sending = sending
        self._count = count
        self._epoch = round(start_s * 1e6)
        self._sequence = 0
        self._schedule = Schedule(site, config.interval_s, start_s)
        self._reported: dict[str, tuple[int, float]] = {}  # octets of each port until when
        for path in measurer.paths.values():
            path.samples = PathSamples(config.window_s, max(probe_interval_s, _LEAST_PATIENCE_S))

    def next_timer_s(self) -> float:
        """Return when the next report is due."""
        return self._schedule.next_s

    def on_timer(self, now_s: float) -> None:
        """Report, if it is time."""
        if not self._schedule.take_due(now_s):
            return
        origin = Origin(self._site, self._epoch, self._sequence + 1, now_s)
        whole = NetworkReport(origin, self._config.window_s, tuple(self._paths(now_s)), tuple(self._links()))
        for part in codec.network_parts(whole):
            self._sequence = part.origin.sequence
            self._send(codec.encode(part))

    def _send(self, data: bytes) -> None:
        address, port = self._config.server
        try:
            self._sending.sendto(data, (str(address), port))
        except OSError:  # no route, a full queue: as lost as any datagram, but counted
            self._measurer.counters["messages_unsent"] += 1
        else:
            self._count("sent", _PEER, KIND, len(data))

    def _paths(self, now_s: float) -> Iterator[PathReport]:
        for peer, path in self._measurer.paths.items():
            if path.samples is not None:
                taken = path.samples.taken(now_s)
                delays = _statistics(taken.round_trips_s), _statistics(taken.one_ways_s)
                yield PathReport(peer, taken.probes, taken.answered, *delays)

    def _links(self) -> Iterator[LinkReport]:
        """Yield what ports sent since the last report, or since they were read first."""
        for name, neighbour in self._config.links.items():
            port = self._measurer.ports.get(name)
            if port is None or port.counters is None:
                continue
            octets, read_s = port.counters.sent_bytes, port.read_s
            before, before_s = self._reported.get(name, (octets, math.inf))
            self._reported[name] = (octets, read_s)
            if read_s > before_s and octets >= before:  # one that was made again counts from nothing
                yield LinkReport(neighbour, octets - before, read_s - before_s, port.port.rate_bps)


def _statistics(delays_s: Sequence[float]) -> DelayStatistics | None:
    if not delays_s:
        return None
    least_s, most_s = min(delays_s), max(delays_s)
    mean_s = min(max(statistics.fmean(delays_s), least_s), most_s)  # rounding must not carry it beyond
    return DelayStatistics(len(delays_s), least_s, statistics.median(delays_s), mean_s, most_s)
