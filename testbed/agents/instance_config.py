"""What a service instance is told to be (`docs/processes.md`, "Service instance"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testbed.agents.service_time import ServiceTime, service_time
from testbed.process_config import ConfigError, Keys


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


def instance_config(keys: Keys) -> InstanceConfig:
    """Check an instance's configuration; raise ConfigError naming the key."""
    config = InstanceConfig(
        name=keys.file_name("name"),
        service=keys.text("service"),
        site=keys.text("site"),
        seed=keys.integer("seed"),
        http_port=keys.nullable("http_port", keys.port),
        rtp_port=keys.nullable("rtp_port", keys.port),
        admin_port=keys.port("admin_port"),
        workers=keys.integer("workers", 1),
        queue_limit=keys.integer("queue_limit", 0),
        speed=keys.positive("speed"),
        service_time=keys.section("service_time", service_time),
        packet_time=keys.section("packet_time", service_time),
        mode=keys.one_of("mode", ("clock", "burn")),
        cpu_limit=keys.nullable("cpu_limit", keys.positive),
        out_dir=Path(keys.text("out_dir")),
        sample_interval_s=keys.positive("sample_interval_s"),
    )
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
