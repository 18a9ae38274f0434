"""The configuration of a service instance (docs/processes.md, "Service instance"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from testbed.agents.instance.service_time_config import Distribution
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, ProcessConfig
from testbed.runtime.forms import Count, Integer, Port, Positive, Size

_PORTS = 65536


@dataclass(frozen=True)
class TrueStateConfig(Document):
    """Shared memory that shows what the instance is like, and how many ingresses use it."""

    file: Path
    """The file that is mapped; the instance makes it, and its folder."""
    ingresses: Count
    """How many D-Routers note in it what they send."""


@dataclass(frozen=True)
class InstanceConfig(ProcessConfig):
    """The configuration of a service instance."""

    service: str
    """The service it is an instance of."""
    site: str
    """Where it is."""
    seed: int
    """Of the service times that it draws."""
    http_port: Port | None
    """It serves HTTP here; null: it does not."""
    rtp_port: Port | None
    """It serves RTP here, and RTCP at the next; null: it does not."""
    admin_port: Port
    """Its metrics are asked for here."""
    workers: Count
    """How many jobs and packets are served at a time."""
    queue_limit: Size
    """How many wait at most."""
    speed: Positive
    """Service takes work / speed."""
    service_time: Distribution
    """The work of a job that does not state its own."""
    packet_time: Distribution
    """The work of a packet."""
    mode: Literal["clock", "burn"]
    """A worker waits for the time to pass, or burns it on a processor."""
    cpu_limit: Positive | None
    """How many processors it may use, in mode `burn`; null: all."""
    sample_interval_s: Positive
    """It samples its load this often."""
    rtp_pairs: Annotated[int, Integer(1, 2)] = 1
    """How many pairs of RTP and RTCP ports it serves, from `rtp_port` on."""
    true_state: TrueStateConfig | None = None
    """Where it shows its work at each change, for the policy `oracle`."""

    def __post_init__(self) -> None:
        if self.http_port is None and self.rtp_port is None:
            raise ConfigError("http_port and rtp_port are both null: give at least one")
        if self.http_port == self.admin_port:
            raise ConfigError(f"http_port and admin_port are both {self.admin_port}: give each its own")
        if self.rtp_port is not None and self.rtp_port + 2 * self.rtp_pairs > _PORTS:
            raise ConfigError(f"rtp_port {self.rtp_port} leaves no port above it for RTCP")
        if self.cpu_limit is not None and self.mode != "burn":
            raise ConfigError("cpu_limit needs mode 'burn'; set it to null in mode 'clock'")
