"""What a service instance is told to be (`docs/processes.md`, "Service instance"). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.agents.config import ConfigError, Keys
from testbed.agents.service_time import ServiceTime, ServiceTimeError, from_config


@dataclass(frozen=True)
class InstanceConfig:
    """A service instance."""

    name: str
    service: str
    site: str
    seed: int
    http_port: int | None
    rtp_port: int | None
    admin_port: int
    workers: int
    queue_limit: int
    speed: float
    service_time: ServiceTime
    packet_time: ServiceTime
    mode: str
    cpu_limit: float | None
    out_dir: Path
    sample_interval_s: float


def instance_config(values: Mapping[str, Any]) -> InstanceConfig:
    """Check an instance's configuration; raise ConfigError naming the key."""
    keys = Keys(values)
    config = InstanceConfig(
        name=keys.name("name"),
        service=keys.text("service"),
        site=keys.text("site"),
        seed=keys.integer("seed"),
        http_port=keys.port_or_none("http_port"),
        rtp_port=keys.port_or_none("rtp_port"),
        admin_port=keys.integer("admin_port", 1, 65535),
        workers=keys.integer("workers", 1),
        queue_limit=keys.integer("queue_limit", 0),
        speed=keys.positive("speed"),
        service_time=_distribution(keys, "service_time"),
        packet_time=_distribution(keys, "packet_time"),
        mode=keys.one_of("mode", ("clock", "burn")),
        cpu_limit=keys.positive_or_none("cpu_limit"),
        out_dir=keys.folder("out_dir"),
        sample_interval_s=keys.positive("sample_interval_s"),
    )
    keys.done()
    if config.http_port is None and config.rtp_port is None:
        raise ConfigError("http_port and rtp_port are both null: give at least one")
    ports = [port for port in (config.http_port, config.admin_port) if port is not None]
    if len(set(ports)) < len(ports):
        raise ConfigError(f"http_port and admin_port are both {config.admin_port}: give each its own")
    if config.rtp_port == 65535:
        raise ConfigError("rtp_port 65535 leaves no port above it for RTCP")
    if config.cpu_limit is not None and config.mode != "burn":
        raise ConfigError("cpu_limit needs mode 'burn'; set it to null in mode 'clock'")
    return config


def _distribution(keys: Keys, key: str) -> ServiceTime:
    try:
        return from_config(keys.mapping(key), key)
    except ServiceTimeError as error:
        raise ConfigError(str(error)) from error
