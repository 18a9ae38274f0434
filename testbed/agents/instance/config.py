"""What a service instance is told to be (`docs/processes.md`, "Service instance"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from testbed.agents.instance.service_time_config import service_time
from testbed.queueing.service_times import ServiceTime
from testbed.runtime.config import ConfigError, Keys


@dataclass(frozen=True)
class TrueStateConfig:
    """Shared memory that shows what the instance is like, and how many ingresses use it."""

    file: Path
    ingresses: int


@dataclass(frozen=True)
class InstanceConfig:
    """A service instance."""

    name: str
    service: str
    site: str
    seed: int
    http_port: int | None
    rtp_port: int | None
    rtp_pairs: int
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
    true_state: TrueStateConfig | None


def instance_config(keys: Keys) -> InstanceConfig:
    """Check an instance's configuration; raise ConfigError naming the key."""
    config = InstanceConfig(
        name=keys.file_name("name"),
        service=keys.text("service"),
        site=keys.text("site"),
        seed=keys.integer("seed"),
        http_port=keys.nullable("http_port", keys.port),
        rtp_port=keys.nullable("rtp_port", keys.port),
        rtp_pairs=keys.optional("rtp_pairs", partial(keys.integer, least=1, most=2), 1),
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
        true_state=keys.optional("true_state", partial(keys.section, check=_true_state), None),
    )
    if config.http_port is None and config.rtp_port is None:
        raise ConfigError("http_port and rtp_port are both null: give at least one")
    ports = [port for port in (config.http_port, config.admin_port) if port is not None]
    if len(set(ports)) < len(ports):
        raise ConfigError(f"http_port and admin_port are both {config.admin_port}: give each its own")
    if config.rtp_port is not None and config.rtp_port + 2 * config.rtp_pairs > 65536:
        raise ConfigError(f"rtp_port {config.rtp_port} leaves no port above it for RTCP")
    if config.cpu_limit is not None and config.mode != "burn":
        raise ConfigError("cpu_limit needs mode 'burn'; set it to null in mode 'clock'")
    return config


def _true_state(keys: Keys) -> TrueStateConfig:
    return TrueStateConfig(Path(keys.text("file")), keys.integer("ingresses", 1))
