"""The tunnels to other D-Routers, and how everybody is reached: the key `tunnel` of a control process. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from ryu_apps.dyncast.config.services import SwitchPort
from testbed.net.addresses import Address
from testbed.runtime.document import Document
from testbed.runtime.forms import Parsed

_MAC_BYTES = 6


def mac_octets(text: str) -> bytes:
    """Return the octets of a MAC address. Raises ValueError."""
    mac = bytes.fromhex(text.replace(":", ""))
    if len(mac) != _MAC_BYTES:
        raise ValueError(text)
    return mac


@dataclass(frozen=True)
class Station:
    """Where a frame goes: the port of the switch, and the MAC address by which tunnels and hosts know its receiver."""

    mac: bytes
    port: int


@dataclass(frozen=True)
class StationConfig(Document):
    """An instance, by each of its D-BIDs, or a D-Router, by the address that its peers know it by."""

    address: Address
    """Its address."""
    mac: Annotated[bytes, Parsed("a MAC address", mac_octets, lambda mac: mac.hex(":"))]
    """Its MAC address."""
    port: SwitchPort | None = None
    """The port of the switch that it is behind; without one, it is at another site."""


@dataclass(frozen=True)
class TunnelConfig(Document):
    """The tunnels of one D-Router."""

    address: Address
    """The D-Router's own address."""
    port: SwitchPort
    """The port of its switch at which all tunnels begin and end."""
    stations: tuple[StationConfig, ...]
    """Instances and the other D-Routers."""

    @cached_property
    def by_address(self) -> Mapping[Address, Station]:
        """Where frames go, by address."""
        return {station.address: Station(station.mac, station.port or self.port) for station in self.stations}
