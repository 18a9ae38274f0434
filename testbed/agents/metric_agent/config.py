"""What a metric agent (D-MA) is told to be (`docs/processes.md`, "Metric agent"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from testbed.agents.metric_agent import triggers_config
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metric_agent.update_triggers import Telling
from testbed.dyncast.metrics import normalisation
from testbed.dyncast.metrics.normalisation import Normalisation
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE
from testbed.runtime.config import Keys


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
    offer: ServiceOffer | None = None  # what is told of the service


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
    controller: tuple[Address, int] | None = None  # who is told of volatile metrics, and
    slow_telling: Telling | None = None  # when the D-Router is told of the others


def metric_agent_config(keys: Keys) -> MetricAgentConfig:
    """Check a metric agent's configuration; raise ConfigError naming the key."""
    interval_s = keys.positive("interval_s")
    telling = keys.optional("telling", lambda key: keys.section(key, triggers_config.telling), Telling(interval_s))
    poll_interval_s = keys.optional("poll_interval_s", keys.positive, interval_s)
    controller = keys.optional("controller", lambda key: _destination(keys, key), None)
    slow_telling = keys.optional("slow_telling", lambda key: keys.section(key, triggers_config.telling), None)
    if (controller is None) != (slow_telling is None):
        raise keys.error("controller", "and slow_telling go together; give both or neither")
    return MetricAgentConfig(
        name=keys.file_name("name"),
        site=keys.text("site"),
        seed=keys.integer("seed"),
        d_router=_destination(keys, "d_router"),
        telling=telling,
        poll_interval_s=poll_interval_s,
        instances=keys.sections("instances", _polled_instance, "a list of at least one instance", 1),
        out_dir=Path(keys.text("out_dir")),
        keys_file=keys.optional("keys_file", lambda key: Path(keys.text(key)), None),
        controller=controller,
        slow_telling=slow_telling,
    )


def _destination(keys: Keys, key: str) -> tuple[Address, int]:
    destination = keys.entries(key, "[address, port]", 2, 2)
    return destination.address("[0]"), destination.port("[1]")


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
        "normalisation", lambda key: keys.section(key, triggers_config.normalisation), normalisation.DEFAULT
    )
    offer = keys.optional("service", lambda key: keys.section(key, _offer), None)
    d_sid, d_bid = keys.address("d_sid"), keys.address("d_bid")
    return PolledInstance(d_sid, d_bid, url, host, port, parts.path or "/", scored_by, offer)


def _offer(keys: Keys) -> ServiceOffer:
    fields = keys.entries("flow_fields")
    return ServiceOffer(
        keys.text("name"),
        tuple(fields.one_of(entry, FIVE_TUPLE) for entry in fields),
        keys.integer("port_block", 1),
        keys.integer("affinity_timeout_s", 1, 65535),
    )
