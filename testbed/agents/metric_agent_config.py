"""What a metric agent (D-MA) is told to be (`docs/processes.md`, "Metric agent"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from testbed.agents import telling_config
from testbed.dyncast import normalisation
from testbed.dyncast.normalisation import Normalisation
from testbed.dyncast.telling import Telling
from testbed.process_config import Address, Keys


@dataclass(frozen=True)
class PolledInstance:
    """An instance a metric agent speaks for."""

    d_sid: Address
    d_bid: Address
    metrics_url: str
    host: str
    port: int
    path: str
    scored_by: Normalisation


@dataclass(frozen=True)
class MetricAgentConfig:
    """A metric agent (D-MA)."""

    name: str
    site: str
    seed: int
    d_router: tuple[Address, int]
    telling: Telling
    poll_interval_s: float
    instances: tuple[PolledInstance, ...]
    out_dir: Path
    keys_file: Path | None = None


def metric_agent_config(keys: Keys) -> MetricAgentConfig:
    """Check a metric agent's configuration; raise ConfigError naming the key."""
    d_router = keys.entries("d_router", "[address, port]", 2, 2)
    interval_s = keys.positive("interval_s")
    telling = keys.optional("telling", lambda key: keys.section(key, telling_config.telling), Telling(interval_s))
    poll_interval_s = keys.optional("poll_interval_s", keys.positive, interval_s)
    return MetricAgentConfig(
        name=keys.file_name("name"),
        site=keys.text("site"),
        seed=keys.integer("seed"),
        d_router=(d_router.address("[0]"), d_router.port("[1]")),
        telling=telling,
        poll_interval_s=poll_interval_s,
        instances=keys.sections("instances", _polled_instance, "a list of at least one instance", 1),
        out_dir=Path(keys.text("out_dir")),
        keys_file=keys.optional("keys_file", lambda key: Path(keys.text(key)), None),
    )


def _polled_instance(keys: Keys) -> PolledInstance:
    url = keys.text("metrics_url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise keys.error("metrics_url", f"{url!r}: {error}") from error
    if parts.scheme != "http" or not host:
        raise keys.mistyped("metrics_url", "http://address:port/path")
    scored_by = keys.optional(
        "normalisation", lambda key: keys.section(key, telling_config.normalisation), normalisation.DEFAULT
    )
    return PolledInstance(keys.address("d_sid"), keys.address("d_bid"), url, host, port, parts.path or "/", scored_by)
