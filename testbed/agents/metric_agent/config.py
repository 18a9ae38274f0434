"""The configuration of a metric agent, a D-MA (docs/processes.md, "Metric agent"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from testbed.agents.metric_agent.triggers_config import Scoring, Triggers
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics import normalisation
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, ProcessConfig, Section
from testbed.runtime.forms import Destination, Integer, Length, Listed, OneOf, Parsed, Positive

Offer = Annotated[
    ServiceOffer,
    Section(
        ServiceOffer,
        flow_fields=Listed(OneOf(FIVE_TUPLE)),
        port_block=Integer(1),
        affinity_timeout_s=Integer(1, 65535),
    ),
]


@dataclass(frozen=True)
class HttpUrl:
    """Where something is asked for by HTTP; `str` of it is the URL."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> HttpUrl:
        """Return what a URL says. Raises ValueError."""
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
        if parts.scheme != "http" or not host:
            raise ValueError(url)
        return cls(host, port, parts.path or "/")

    @property
    def authority(self) -> str:
        """Host and port, as in the header `Host`."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.authority}{self.path}"


@dataclass(frozen=True)
class PolledInstance(Document):
    """An instance a metric agent speaks for."""

    d_sid: Address
    """Of its service."""
    d_bid: Address
    """Its own."""
    metrics_url: Annotated[HttpUrl, Parsed("http://address:port/path", HttpUrl.parse)]
    """Where it is asked for its metrics."""
    normalisation: Scoring = normalisation.DEFAULT
    """How its metrics become scores."""
    service: Offer | None = None
    """What its reports say of its service, for D-Routers that learn services (docs/decisions/0016)."""
    reported: Literal["always", "while_served"] = "always"
    """while_served: not before it answers for the first time; as down, and then no more, once it answers 404."""

    @property
    def comes_and_goes(self) -> bool:
        """Whether it may not serve this yet, or no more."""
        return self.reported == "while_served"


@dataclass(frozen=True)
class MetricAgentConfig(ProcessConfig):
    """The configuration of a metric agent (D-MA)."""

    site: str
    """The site it speaks for."""
    seed: int
    """Of the run; a metric agent draws nothing."""
    d_router: Destination
    """Where its reports go, by UDP."""
    interval_s: Positive
    """It polls and reports this often, unless the next two keys say otherwise."""
    instances: Annotated[tuple[PolledInstance, ...], Length(1, "a list of at least one instance")]
    """Those it speaks for."""
    poll_interval_s: Positive | None = None
    """It polls this often; default: each `interval_s`."""
    reporting: Triggers | None = None
    """When it reports; default: everything, each `interval_s`."""
    keys_file: Path | None = None
    """The key that its reports are signed with; without it, they have no tag."""
    controller: Destination | None = None
    """hybrid: where its volatile metrics go."""
    slow_reporting: Triggers | None = None
    """hybrid: when it reports the others; `reporting` is then for the volatile ones."""

    def __post_init__(self) -> None:
        if (self.controller is None) != (self.slow_reporting is None):
            raise ConfigError("controller and slow_reporting go together; give both or neither")

    @property
    def polls_each_s(self) -> float:
        """How often it polls."""
        return self.poll_interval_s or self.interval_s

    @property
    def triggers(self) -> Reporting:
        """When it reports, of volatile metrics if `slow_reporting` is for the others."""
        return self.reporting or Reporting(self.interval_s)
