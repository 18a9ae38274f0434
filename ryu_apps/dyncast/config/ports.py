"""The ports of a D-Router, and how their counters are read: the key `ports` of a control process (docs/processes.md).

What the figures mean is `testbed.dyncast.monitoring.port_state`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testbed.dyncast.monitoring.port_state import Port
from testbed.linux.port_reader import PortSource
from testbed.runtime.config import Keys


@dataclass(frozen=True)
class PortsConfig:
    """Which ports there are, and how their counters are read."""

    netlink_fd: int
    interval_s: float
    ports: tuple[Port, ...]
    sources: tuple[PortSource, ...]


def ports_config(keys: Keys) -> PortsConfig:
    """Check the key `ports`; raise ConfigError naming what is wrong in it."""
    listed = keys.sections("ports", _port)
    return PortsConfig(
        netlink_fd=keys.integer("netlink_fd", 0),
        interval_s=keys.positive("interval_s"),
        ports=tuple(port for port, _ in listed),
        sources=tuple(source for _, source in listed),
    )


def _port(keys: Keys) -> tuple[Port, PortSource]:
    name, rate_mbps = keys.text("name"), keys.optional("rate_mbps", keys.positive, None)
    relay_file = keys.optional("relay_file", keys.text, None)
    source = PortSource(
        name,
        None if relay_file is None else Path(relay_file),
        keys.optional("relay_slot", lambda key: keys.integer(key, 0), 0),
    )
    return Port(name, None if rate_mbps is None else rate_mbps * 1e6, keys.integer("queue_packets", 1)), source
