"""What a metric agent (D-MA) is told to be (`docs/processes.md`, "Metric agent"). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed.agents.config import Address, ConfigError, Keys


@dataclass(frozen=True)
class PolledInstance:
    """An instance a metric agent speaks for."""

    d_sid: Address
    d_bid: Address
    metrics_url: str
    host: str
    port: int
    path: str


@dataclass(frozen=True)
class MetricAgentConfig:
    """A metric agent (D-MA)."""

    name: str
    site: str
    seed: int
    d_router: tuple[Address, int]
    interval_s: float
    instances: tuple[PolledInstance, ...]
    out_dir: Path


def metric_agent_config(values: Mapping[str, Any]) -> MetricAgentConfig:
    """Check a metric agent's configuration; raise ConfigError naming the key."""
    keys = Keys(values)
    d_router = keys.take("d_router")
    if not isinstance(d_router, list) or len(d_router) != 2:
        raise ConfigError(f"d_router must be [address, port], not {d_router!r}")
    end = Keys({"d_router[0]": d_router[0], "d_router[1]": d_router[1]})
    instances = keys.take("instances")
    if not isinstance(instances, list) or not instances:
        raise ConfigError("instances must be a list of at least one instance")
    config = MetricAgentConfig(
        name=keys.name("name"),
        site=keys.text("site"),
        seed=keys.integer("seed"),
        d_router=(end.address("d_router[0]"), end.integer("d_router[1]", 1, 65535)),
        interval_s=keys.positive("interval_s"),
        instances=tuple(_polled_instance(entry, f"instances[{number}]") for number, entry in enumerate(instances)),
        out_dir=keys.folder("out_dir"),
    )
    keys.done()
    return config


def _polled_instance(entry: object, where: str) -> PolledInstance:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where} must be an object, not {entry!r}")
    keys = Keys(entry, f"{where}.")
    url = keys.text("metrics_url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise ConfigError(f"{where}.metrics_url {url!r}: {error}") from error
    if parts.scheme != "http" or not host:
        raise ConfigError(f"{where}.metrics_url must be http://address:port/path, not {url!r}")
    polled = PolledInstance(keys.address("d_sid"), keys.address("d_bid"), url, host, port, parts.path or "/")
    keys.done()
    return polled
