"""The ports of a D-Router, and how their counters are read: the key `ports` of a control process (docs/processes.md).

What the figures mean is `testbed.dyncast.monitoring.port_state`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testbed.dyncast.monitoring.port_state import Port
from testbed.linux.port_reader import PortSource
from testbed.runtime.document import Document
from testbed.runtime.forms import Count, Positive, Size


@dataclass(frozen=True)
class PortConfig(Document):
    """A port that a path begins with."""

    name: str
    """Its name, by which peers say that their path begins here."""
    queue_packets: Count
    """How many packets its queue takes."""
    rate_mbps: Positive | None = None
    """Capacity of its link; null: no limit."""
    relay_file: Path | None = None
    """Where its queue is counted, if a relay keeps it."""
    relay_slot: Size = 0
    """Its slot in that file."""

    @property
    def port(self) -> Port:
        """What the D-Router knows of it."""
        return Port(self.name, None if self.rate_mbps is None else self.rate_mbps * 1e6, self.queue_packets)

    @property
    def source(self) -> PortSource:
        """Where its counters are."""
        return PortSource(self.name, self.relay_file, self.relay_slot)


@dataclass(frozen=True)
class PortsConfig(Document):
    """Which ports there are, and how their counters are read."""

    netlink_fd: Size
    """An rtnetlink socket of the D-Router's namespace."""
    interval_s: Positive
    """They are read this often."""
    ports: tuple[PortConfig, ...]
    """One for each link that a path begins with."""

    @property
    def sources(self) -> tuple[PortSource, ...]:
        """Where the counters are."""
        return tuple(port.source for port in self.ports)
