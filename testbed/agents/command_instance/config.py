"""The configuration of a command that serves (docs/processes.md, "Command instance"). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from testbed.agents.command_instance.json_metrics import Pointer
from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, ProcessConfig, Section
from testbed.runtime.forms import Count, Length, Mapped, Number, OneOf, Port, Positive, Size, Texts

# What an application may report of itself. The testbed measures the others, or nobody does.
APPLICATION_COUNTS = ("busy_workers", "queue_length", "sessions", "sessions_started", "completed", "refused")
APPLICATION_FIGURES = (*APPLICATION_COUNTS, "utilisation", "service_time_ms", "capacity_per_s")

_POINTER = Section(Pointer, times=Number(is_positive=True))


@dataclass(frozen=True)
class Readiness(Document):
    """When the command serves: once GET `http` is answered well, or `output` is in its output, or its port is open."""

    http: str | None
    """Path that is answered well once it serves."""
    output: str | None
    """Regular expression that its output matches once it serves."""
    timeout_s: Positive
    """It may take this long until it serves."""

    def __post_init__(self) -> None:
        try:
            _ = self.expression
        except re.error as error:
            raise ConfigError(f"output is no regular expression: {error}") from error

    @cached_property
    def expression(self) -> re.Pattern[str] | None:
        """What the output matches once it serves."""
        return None if self.output is None else re.compile(self.output, re.MULTILINE)


@dataclass(frozen=True)
class ApplicationMetrics(Document):
    """Where the application reports figures of itself."""

    url: str
    """Where it answers with JSON."""
    pointers: Annotated[Mapping[str, Pointer], Mapped(_POINTER)]
    """Each metric that it reports, and where in the answer."""

    def __post_init__(self) -> None:
        unknown = [metric for metric in self.pointers if metric not in APPLICATION_FIGURES]
        if unknown:
            raise ConfigError(
                f"pointers.{unknown[0]} is no figure of an application; there are: {', '.join(APPLICATION_FIGURES)}"
            )


@dataclass(frozen=True)
class CommandConfig(ProcessConfig):
    """The configuration of a command that is a service instance."""

    service: str
    """The service it is an instance of."""
    site: str
    """Where it is."""
    protocol: Annotated[str, OneOf(("tcp", "udp"))]
    """Over which it serves."""
    host: Address
    """Its D-BID."""
    port: Port
    """It serves here."""
    admin_port: Port
    """Its metrics are asked for here."""
    workers: Count
    """How many flows it serves at a time, as far as anybody knows."""
    queue_limit: Size
    """How many may wait, as far as anybody knows."""
    service_time_ms: Positive
    """How long it takes to serve one, until it says so itself."""
    cpu_limit: Positive | None
    """How many processors it may use; null: all."""
    argv: Annotated[tuple[str, ...], Length(1, "a list of strings")]
    """The command."""
    within: Texts
    """What starts it as whoever runs it."""
    environment: Texts
    """NAME=value each, beside what it inherits."""
    folder: Path
    """Where it runs."""
    ready: Readiness
    """When it serves: once all that is stated is so; with nothing stated, once its port is open."""
    application: ApplicationMetrics | None
    """Where it reports figures of itself; null: it does not."""
    sample_interval_s: Positive
    """Its load is sampled this often."""

    def __post_init__(self) -> None:
        if self.protocol == "tcp" and self.port == self.admin_port:
            raise ConfigError(f"port and admin_port are both {self.port}: give each its own")
