"""A global property of endpoints, by address or prefix (RFC 7285, sections 7.1 and 10.8.2)."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.alto.errors import AltoDataError
from testbed.alto.maps.addresses import BITS, Prefix, address_number, prefix
from testbed.alto.maps.prefix_table import PrefixTable
from testbed.alto.names import PropertyName, is_global_property


class EndpointProperty:
    """Values of one property; an endpoint has that of the longest prefix that it is in."""

    def __init__(self, name: PropertyName, values: Mapping[str, str]) -> None:
        """Take values by `ipv4:192.0.2.0/24` or `ipv4:192.0.2.1`; raises AltoDataError."""
        if not is_global_property(name):
            raise AltoDataError(f"{name!r} is no name of a global property (RFC 7285, section 10.8.2)")
        self.name = name
        self._table = PrefixTable({entity_prefix(text): value for text, value in values.items()})

    def of(self, kind: str, address: str) -> str | None:
        """Return the value that an endpoint has."""
        number = address_number(kind, address)
        return None if number is None else self._table.longest_match(kind, number)


def entity_prefix(text: str) -> Prefix:
    """Return the prefix that a typed address or prefix is. Raises AltoDataError."""
    kind, _, address = text.partition(":")
    if kind in BITS:
        number = address_number(kind, address)
        found = prefix(kind, address) if number is None else Prefix(kind, number, BITS[kind])
        if found is not None:
            return found
    raise AltoDataError(f"{text!r} is neither a typed address nor a typed prefix")
