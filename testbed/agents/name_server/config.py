"""The configuration of the name server (docs/processes.md, "Name server"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl
from testbed.net.addresses import Address
from testbed.net.token_bucket import Rate
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, Merged, ProcessConfig, Section
from testbed.runtime.forms import Integer, Length, Listed, Mapped, Number, Port, Positive

_LONGEST_TTL_S = 604_800
_SITE = Section(ClientSite, path_costs_ms=Mapped(Number(0)))


@dataclass(frozen=True)
class NamedService(Document):
    """A service and its D-SID."""

    name: str
    """What it is called in the zone."""
    d_sid: Address
    """Its address."""
    answer: Literal["d_sid", "d_bid"]
    """What clients get as answer: the `d_sid`, or the `d_bid` of an instance that is chosen for them."""

    @property
    def is_steered(self) -> bool:
        """Return whether an instance is chosen for each client."""
        return self.answer == "d_bid"


@dataclass(frozen=True)
class SteeringConfig(Document):
    """What the server needs to choose instances itself."""

    chosen_by: Annotated[DnsTtl, Merged(Section(DnsTtl))]
    in_band_port: Port
    """It receives reports here, at the first of its addresses."""
    metric_lifetime_s: Positive
    """What is not refreshed for so long is no candidate."""
    sites: Annotated[tuple[ClientSite, ...], Listed(_SITE, Length(1, "a list of at least one site"))]
    """Where clients may be."""
    report_rate: Annotated[Rate, Section(Rate, per_s=Number(is_positive=True), burst=Number(1))] = REPORT_RATE
    """How many reports of each agent it takes."""


@dataclass(frozen=True)
class NameServerConfig(ProcessConfig):
    """The configuration of a name server."""

    seed: int
    """Of what is chosen at random."""
    addresses: Annotated[tuple[Address, ...], Length(1, "a list of at least one address")]
    """Those of its node that it serves at."""
    port: Port
    """It serves here, by UDP and TCP."""
    zone: str
    """The zone that it answers for."""
    ttl_s: Annotated[int, Integer(0, _LONGEST_TTL_S)]
    """How long the address of a D-SID may be remembered."""
    services: tuple[NamedService, ...]
    """The names."""
    steering: SteeringConfig | None = None
    """How it chooses instances, for services whose answer is a D-BID."""
    keys_file: Path | None = None
    """The keys of the agents that report to it; without it, it believes all."""

    def __post_init__(self) -> None:
        if self.steering is None and any(service.is_steered for service in self.services):
            raise ConfigError("steering is missing; a service that is steered needs it")
