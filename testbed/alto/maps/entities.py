"""Entities and the domains that they are of (RFC 9240, sections 3 and 5).

An entity is text such as `ipv4:192.0.2.0/24`, `my-map.pid:PID1` or `.ane:dc21`: the name of a domain, a colon, and an
identifier in it. RFC 9240 was read in its last drafts; what the RFC says in other words could not be verified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.alto.maps.addresses import BITS, Prefix, address_number, prefix
from testbed.alto.names import ResourceID, is_received_pid_name

_ENTITY = re.compile(r"(?P<domain>(?:[0-9A-Za-z:@_-]{0,64}\.)?(?P<kind>[0-9A-Za-z_-]{1,32})):(?P<name>[!-~]{1,256})")
_NAME = re.compile(r"(?:[0-9A-Za-z:@_-]{0,64}\.)?[0-9A-Za-z:_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity: its domain, and a prefix if that is one of Internet addresses."""

    domain: str
    name: str
    prefix: Prefix | None = None

    def __str__(self) -> str:
        return f"{self.domain}:{self.name}"


def entity(text: str) -> Entity | None:
    """Return the entity that a text is, or None if it is not well-formed for its domain."""
    match = _ENTITY.fullmatch(text)
    if match is None:
        return None
    domain, kind, name = match["domain"], match["kind"], match["name"]
    if kind in BITS:
        number = address_number(kind, name)
        block = prefix(kind, name) if number is None else Prefix(kind, number, BITS[kind])
        return None if block is None else Entity(domain, name, block)
    if kind == "pid" and not is_received_pid_name(name):
        return None
    return Entity(domain, name)


def of_prefix(domain: str, block: Prefix) -> Entity:
    """Return the entity that a prefix is in a domain; one of full length is an address."""
    text = block.text()
    is_address = block.length == BITS[block.kind]
    return Entity(domain, text.partition("/")[0] if is_address else text, block)


def is_entity_property(text: str) -> bool:
    """Return whether a property of entities may be called so: `.asn`, `my-map.pid`."""
    return _NAME.fullmatch(text) is not None


def resource_of_domain(domain: str) -> ResourceID | None:
    """Return the resource that a domain is of, `` for the property map's own, None for one that is shared by all."""
    resource, dot, _ = domain.rpartition(".")
    return resource if dot else None
