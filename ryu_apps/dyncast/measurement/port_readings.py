"""The counters of a D-Router's ports, read at an interval, passed to the D-Router and recorded.

Owns the time of reading. What the figures mean is `testbed.dyncast.monitoring.port_state`'s business.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Protocol

from ryu_apps.dyncast.config.ports import PortsConfig
from testbed.dyncast.monitoring.port_state import PortState
from testbed.linux.port_reader import PortReader
from testbed.net.port_counters import Reading
from testbed.records.writer import RecordWriter

_EARLY_SHARE = 0.2  # of the interval, if the process is awake anyway


class HasPorts(Protocol):
    """A node that gets the counters of its ports."""

    @property
    def ports(self) -> Mapping[str, PortState]:
        """Its ports, by name."""

    def on_port_counters(self, readings: Mapping[str, Reading]) -> None:
        """Handle the cumulative counters of the ports: sent and dropped."""


class Ports:
    """Read the counters when it is time."""

    def __init__(
        self,
        config: PortsConfig,
        netlink: socket.socket,
        d_router: HasPorts,
        site: str,
        records: RecordWriter,
        logger: logging.Logger,
    ) -> None:
        self._reader = PortReader(netlink, config.sources)
        self._interval_s = config.interval_s
        self._d_router = d_router
        self._site = site
        self._records = records
        self._logger = logger
        self.early_s = _EARLY_SHARE * config.interval_s
        self._next_s = 0.0

    def next_timer_s(self) -> float:
        """Return when the counters are read next."""
        return self._next_s

    def on_timer(self, now_s: float) -> None:
        """Read, pass on and record, if an interval has all but passed."""
        if now_s < self._next_s - self.early_s:
            return
        self._next_s = now_s + self._interval_s
        try:
            readings = self._reader.read(now_s)
        except OSError as error:  # the network is being taken down
            self._logger.debug("ports not read: %s", error)
            return
        self._d_router.on_port_counters(readings)
        for name, reading in readings.items():
            self._records.write("ports", row(self._d_router.ports[name], self._site, reading.time_s))


def row(state: PortState, site: str, time_s: float) -> dict[str, object]:
    """Return the row of a port in the table `ports`."""
    counters = state.counters
    return {
        "time_s": time_s,
        "d_router": site,
        "port": state.port.name,
        "rate_mbps": None if state.port.rate_bps is None else state.port.rate_bps / 1e6,
        "sent_bytes": counters.sent_bytes if counters else None,
        "sent_packets": counters.sent_packets if counters else None,
        "dropped_packets": counters.dropped_packets if counters else None,
        "sent_mbps": None if state.sent_bps is None else state.sent_bps / 1e6,
        "utilisation": state.utilisation,
        "drop_share": state.drop_share,
        "queueing_ms": state.queueing_s * 1e3,
    }
