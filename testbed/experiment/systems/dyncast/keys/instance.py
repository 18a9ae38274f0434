"""The scenario's `instances:`: service instances, and where they are.

Whether the places exist is `plan`'s business. The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from testbed.experiment.schema_parts import DistributionKeys, LinkKeys
from testbed.experiment.systems.dyncast.keys.command import ApplicationKeys
from testbed.records.manifest import MOST_WORKERS


class InstanceKeys(ApplicationKeys):
    """Service instances of one kind at one place."""

    service: str
    """Name of the service."""
    site: str | None = None
    """Edge site to put them at."""
    host: str | None = None
    """Or: the instance host of the topology that runs it."""
    count: int = Field(1, ge=1, le=200)
    """How many, each on a host of its own."""
    workers: int = Field(1, ge=1, le=MOST_WORKERS)
    """Requests (or RTP packets) served at once; kind command: sessions that the program serves at once, as policies
    know."""
    queue_limit: int = Field(50, ge=0)
    """Requests that wait for a worker before more are refused; kind command: sessions that can wait, as policies
    know."""
    speed: float = Field(1.0, gt=0)
    """Work takes work / speed."""
    service_time: DistributionKeys = DistributionKeys(mean_ms=50.0)
    """Work of a request that brings none of its own; kind command: its mean is what is reported to policies, unless the
    program reports its own (metrics.values.service_time_ms)."""
    packet_time: DistributionKeys = DistributionKeys(distribution="constant", mean_ms=0.1)
    """Work of one RTP packet."""
    mode: Literal["clock", "burn"] = "clock"
    """clock: service is modelled by waiting. burn: real CPU, under `cpu_limit`."""
    cpu_limit: float | None = Field(None, gt=0)
    """burn, and kind command: cores the instance may use."""
    link: LinkKeys = LinkKeys()
    """Link between the instance and its D-Router."""

    @model_validator(mode="after")
    def _placed(self) -> InstanceKeys:
        if (self.site is None) == (self.host is None):
            raise ValueError("say either site or host")
        if self.host is not None and self.count != 1:
            raise ValueError("a host of the topology runs one instance; leave out count")
        return self
