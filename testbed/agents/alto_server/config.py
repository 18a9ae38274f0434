"""The configuration of an ALTO server in a network (docs/processes.md, "ALTO server"). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from testbed.alto.network.facts import NetworkFacts
from testbed.alto.reports import reported_knowledge
from testbed.alto.reports.admission import Reporter
from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError
from testbed.runtime.document import ProcessConfig
from testbed.runtime.forms import Integer, NotNegative, Positive


@dataclass(frozen=True)
class AltoServerConfig(ProcessConfig):
    """The configuration of an ALTO server."""

    address: Address
    """It serves HTTP here,"""
    port: Annotated[int, Integer(0, 65535)]
    """at this port (0: any that is free),"""
    reports_port: Annotated[int, Integer(0, 65535)]
    """and receives reports here, by UDP (0: any that is free)."""
    network: NetworkFacts
    """What it knows of the network before anything is measured."""
    reporters: Mapping[str, Reporter] = field(default_factory=dict)
    """Whose reports it believes: D-Routers by their node in the network, clusters by their name."""
    lifetime_s: Positive = reported_knowledge.LIFETIME_S
    """What was not reported for so long is left out."""
    least_change: NotNegative = reported_knowledge.LEAST_CHANGE
    """A figure that differs by no larger share than this is no news."""
    certificate: Path | None = None
    """It serves HTTPS with this certificate, PEM,"""
    key: Path | None = None
    """and its key, PEM."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Who may ask, with their passwords; none, here and in the file: everybody."""
    users_file: Path | None = None
    """More of them, a line NAME:PASSWORD each."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError(f"{'key' if self.key is None else 'certificate'} is missing; they go together")
        for name, reporter in self.reporters.items():
            if reporter.kind == "network" and name not in self.network.pids:
                raise ConfigError(f"reporters.{name} is no node of the network; a D-Router is one")
