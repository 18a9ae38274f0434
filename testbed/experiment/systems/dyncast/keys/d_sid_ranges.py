"""D-SIDs as members of configured ranges: which one a service gets, and that none lies outside.

Pure. Works on the document of a scenario before its schema does, so that each service has its D-SID from then on.
Section 4.1 of the CFN-Dyncast architecture: D-SIDs may be known by a special range of addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any

from testbed.net.addresses import Address, Network


def with_d_sids(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the next free D-SID for each service that names none.

    Ranges and services that are no such thing are left for the schema to refuse. Raises ValueError when none is free.
    """
    services, networks = document.get("services"), document.get("d_sid_ranges")
    if not isinstance(services, Mapping) or not isinstance(networks, Sequence) or not networks:
        return document
    try:
        ranges = [ip_network(network) for network in networks]
    except (ValueError, TypeError):
        return document
    free = _free(ranges, _taken(services.values()))
    filled = {}
    for name, service in services.items():
        filled[name] = service
        if service is None or (isinstance(service, Mapping) and service.get("d_sid") is None):
            d_sid = next(free, None)
            if d_sid is None:
                raise ValueError(f"services.{name}: d_sid_ranges have no free D-SID left for it; add a range")
            filled[name] = {**(service or {}), "d_sid": str(d_sid)}
    return {**document, "services": filled}


def outside(d_sids: Mapping[str, Address], ranges: Iterable[Network]) -> Iterator[str]:
    """Yield the names of services whose D-SID is of no range."""
    ranges = tuple(ranges)
    return (name for name, d_sid in d_sids.items() if not any(d_sid in network for network in ranges))


def _taken(services: Iterable[Any]) -> set[Address]:
    taken = set()
    for service in services:
        d_sid = service.get("d_sid") if isinstance(service, Mapping) else None
        with suppress(ValueError):  # what is no address, the schema refuses
            taken.add(ip_address(str(d_sid)))
    return taken


def _free(ranges: Iterable[Network], taken: set[Address]) -> Iterator[Address]:
    return (address for network in ranges for address in network.hosts() if address not in taken)
