"""What the name server is told to be (`docs/processes.md`, "Name server"). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from testbed.agents.name_server.dns_zone import NamedService
from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl
from testbed.net.addresses import Address, Network
from testbed.net.token_bucket import Rate
from testbed.runtime.config import Keys

_LONGEST_TTL_S = 604_800


@dataclass(frozen=True)
class SteeringConfig:
    """What the server needs to choose instances itself."""

    chosen_by: DnsTtl
    in_band_port: int
    metric_lifetime_s: float
    report_rate: Rate
    sites: tuple[ClientSite, ...]


@dataclass(frozen=True)
class NameServerConfig:
    """A name server. `addresses` are those of its node that it serves at, the first hears reports."""

    name: str
    seed: int
    addresses: tuple[Address, ...]
    port: int
    zone: str
    ttl_s: int
    services: tuple[NamedService, ...]
    steering: SteeringConfig | None
    out_dir: Path
    keys_file: Path | None


def name_server_config(keys: Keys) -> NameServerConfig:
    """Check a name server's configuration; raise ConfigError naming the key."""
    addresses = keys.entries("addresses", "a list of at least one address", 1)
    config = NameServerConfig(
        name=keys.file_name("name"),
        seed=keys.integer("seed"),
        addresses=tuple(addresses.address(entry) for entry in addresses),
        port=keys.port("port"),
        zone=keys.text("zone"),
        ttl_s=keys.integer("ttl_s", 0, _LONGEST_TTL_S),
        services=keys.sections("services", _service),
        steering=keys.optional("steering", partial(keys.section, check=_steering), None),
        out_dir=Path(keys.text("out_dir")),
        keys_file=keys.optional("keys_file", lambda key: Path(keys.text(key)), None),
    )
    if config.steering is None and any(service.is_steered for service in config.services):
        raise keys.error("steering", "is missing; a service that is steered needs it")
    return config


def _service(keys: Keys) -> NamedService:
    return NamedService(keys.text("name"), keys.address("d_sid"), keys.one_of("answer", ("d_sid", "d_bid")) == "d_bid")


def _steering(keys: Keys) -> SteeringConfig:
    try:
        chosen_by = DnsTtl(keys.number("ttl_s"), keys.text("answers"))
    except ValueError as error:
        raise keys.error("answers", str(error)) from error
    return SteeringConfig(
        chosen_by=chosen_by,
        in_band_port=keys.port("in_band_port"),
        metric_lifetime_s=keys.positive("metric_lifetime_s"),
        report_rate=keys.optional("report_rate", partial(keys.section, check=_rate), REPORT_RATE),
        sites=keys.sections("sites", _site, "a list of at least one site", 1),
    )


def _rate(keys: Keys) -> Rate:
    return Rate(keys.positive("per_s"), keys.number("burst", 1))


def _site(keys: Keys) -> ClientSite:
    networks = keys.entries("prefixes", "a list of networks")
    return ClientSite(
        keys.text("site"),
        tuple(_network(networks, entry) for entry in networks),
        keys.section("path_costs_ms", lambda costs: {site: costs.number(site, 0) for site in costs}),
    )


def _network(keys: Keys, key: str) -> Network:
    try:
        return ip_network(keys.text(key))
    except ValueError as error:
        raise keys.mistyped(key, "an IP network") from error
