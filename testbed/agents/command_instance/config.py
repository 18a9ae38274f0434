"""What a command that serves is told to be (`docs/processes.md`, "Command instance"). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from testbed.agents.command_instance.json_metrics import Pointer
from testbed.runtime.config import ConfigError, Keys

# What an application may tell of itself. The others are for the testbed to say, or for nobody.
TOLD_COUNTS = ("busy_workers", "queue_length", "sessions", "sessions_started", "completed", "refused")
TOLD_FIGURES = (*TOLD_COUNTS, "utilisation", "service_time_ms", "capacity_per_s")


@dataclass(frozen=True)
class Readiness:
    """When the command serves: once GET `http` is answered well, or `output` is in its output, or its port is open."""

    http: str | None
    output: re.Pattern[str] | None
    timeout_s: float


@dataclass(frozen=True)
class Told:
    """Where the application tells figures of itself."""

    url: str
    pointers: dict[str, Pointer]


@dataclass(frozen=True)
class CommandConfig:
    """A command that is a service instance. `environment`: NAME=value each; `folder` is where it runs."""

    name: str
    service: str
    site: str
    protocol: str
    host: str
    port: int
    admin_port: int
    workers: int
    queue_limit: int
    service_time_ms: float
    cpu_limit: float | None
    argv: tuple[str, ...]
    environment: tuple[str, ...]
    folder: Path
    ready: Readiness
    told: Told | None
    out_dir: Path
    sample_interval_s: float


def command_config(keys: Keys) -> CommandConfig:
    """Check the configuration of a command instance; raise ConfigError naming the key."""
    config = CommandConfig(
        name=keys.file_name("name"),
        service=keys.text("service"),
        site=keys.text("site"),
        protocol=keys.one_of("protocol", ("tcp", "udp")),
        host=str(keys.address("host")),
        port=keys.port("port"),
        admin_port=keys.port("admin_port"),
        workers=keys.integer("workers", 1),
        queue_limit=keys.integer("queue_limit", 0),
        service_time_ms=keys.positive("service_time_ms"),
        cpu_limit=keys.nullable("cpu_limit", keys.positive),
        argv=texts(keys, "argv", least=1),
        environment=texts(keys, "environment"),
        folder=Path(keys.text("folder")),
        ready=keys.section("ready", _ready),
        told=keys.nullable("told", lambda key: keys.section(key, _told)),
        out_dir=Path(keys.text("out_dir")),
        sample_interval_s=keys.positive("sample_interval_s"),
    )
    if config.protocol == "tcp" and config.port == config.admin_port:
        raise ConfigError(f"port and admin_port are both {config.port}: give each its own")
    return config


def texts(keys: Keys, key: str, least: int = 0) -> tuple[str, ...]:
    """Take a list of strings."""
    entries = keys.entries(key, "a list of strings", least)
    return tuple(entries.text(entry) for entry in entries)


def _ready(keys: Keys) -> Readiness:
    output = keys.nullable("output", keys.text)
    return Readiness(
        http=keys.nullable("http", keys.text),
        output=re.compile(output, re.MULTILINE) if output else None,
        timeout_s=keys.positive("timeout_s"),
    )


def _told(keys: Keys) -> Told:
    return Told(url=keys.text("url"), pointers=keys.section("pointers", _pointers))


def _pointers(keys: Keys) -> dict[str, Pointer]:
    unknown = [metric for metric in keys if metric not in TOLD_FIGURES]
    if unknown:
        raise keys.error(unknown[0], f"is no figure that an application tells; there are: {', '.join(TOLD_FIGURES)}")
    return {metric: keys.section(metric, _pointer) for metric in keys}


def _pointer(keys: Keys) -> Pointer:
    return Pointer(at=keys.text("at"), times=keys.positive("times"))
