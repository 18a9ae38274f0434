"""What a control process is told of the tunnels to other D-Routers, and of who is reached how: the section `tunnel`.

    {"address": "10.3.0.1", "port": 9, "stations": [
        {"address": "10.3.0.10", "mac": "02:00:05:00:03", "port": 3},
        {"address": "10.4.0.10", "mac": "02:00:06:00:04"}, {"address": "10.4.0.1", "mac": "02:01:00:00:02"}]}

`address` is the D-Router's own, `port` that of its switch at which all tunnels begin and end. A station is an instance,
by each of its D-BIDs, or a D-Router, by the address that its peers know it by; one without `port` is at another site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from testbed.net.addresses import Address
from testbed.runtime.config import Keys

_MAC_BYTES = 6
_MAX_SWITCH_PORT = 0xFFFF_FF00  # OFPP_MAX


@dataclass(frozen=True)
class Station:
    """Where a frame goes: the port of the switch, and the MAC address by which tunnels and hosts know its receiver."""

    mac: bytes
    port: int


@dataclass(frozen=True)
class TunnelConfig:
    """The tunnels of one D-Router; `stations` by address."""

    address: Address
    port: int
    stations: Mapping[Address, Station]


def tunnel_config(keys: Keys) -> TunnelConfig:
    """Check the section; raise ConfigError naming the key."""
    port = keys.integer("port", 1, _MAX_SWITCH_PORT)
    stations = keys.sections("stations", lambda station: _station(station, port))
    return TunnelConfig(keys.address("address"), port, dict(stations))


def _station(keys: Keys, tunnel_port: int) -> tuple[Address, Station]:
    port = keys.optional("port", lambda key: keys.integer(key, 1, _MAX_SWITCH_PORT), tunnel_port)
    return keys.address("address"), Station(_mac(keys, "mac"), port)


def _mac(keys: Keys, key: str) -> bytes:
    try:
        mac = bytes.fromhex(keys.text(key).replace(":", ""))
    except ValueError as error:
        raise keys.mistyped(key, "a MAC address") from error
    if len(mac) != _MAC_BYTES:
        raise keys.mistyped(key, "a MAC address")
    return mac
