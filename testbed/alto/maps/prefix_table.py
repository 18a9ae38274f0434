"""A table of prefixes, searched by the longest one that matches (RFC 7285, section 11.2.2).

One dictionary per length that occurs, longest first: a search takes as many look-ups as there are lengths.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from testbed.alto.maps.addresses import BITS, Prefix
from testbed.alto.names import AddressType

Value = TypeVar("Value")


class PrefixTable(Generic[Value]):
    """Values by prefix; it does not change."""

    def __init__(self, values: Mapping[Prefix, Value]) -> None:
        self.values = dict(values)
        self._levels = {kind: _levels(self.values, kind) for kind in {prefix.kind for prefix in self.values}}

    def longest_match(self, kind: AddressType, address: int) -> Value | None:
        """Return the value of the longest prefix that an address is in."""
        for shift, level in self._levels.get(kind, ()):
            value = level.get(address >> shift)
            if value is not None:
                return value
        return None

    def covering(self, prefix: Prefix) -> Value | None:
        """Return the value of the longest prefix in which all of another one is, itself included."""
        bits = BITS[prefix.kind]
        for shift, level in self._levels.get(prefix.kind, ()):
            if bits - shift <= prefix.length:
                value = level.get(prefix.first >> shift)
                if value is not None:
                    return value
        return None

    def inside(self, prefix: Prefix) -> Iterator[Prefix]:
        """Return all prefixes of the table that are in a prefix and are not that one itself, in their order."""
        ordered = self._ordered.get(prefix.kind, [])
        end = prefix.first + prefix.addresses
        for place in range(bisect_left(ordered, (prefix.first,)), len(ordered)):
            first, length, inner = ordered[place]
            if first >= end:
                return
            if length > prefix.length:
                yield inner

    @cached_property
    def _ordered(self) -> dict[AddressType, list[tuple[int, int, Prefix]]]:
        """Return the prefixes of each kind by their first address, outer ones first: those in one stand together."""
        ordered: dict[AddressType, list[tuple[int, int, Prefix]]] = {}
        for prefix in sorted(self.values, key=lambda prefix: (prefix.first, prefix.length)):
            ordered.setdefault(prefix.kind, []).append((prefix.first, prefix.length, prefix))
        return ordered


def _levels(values: Mapping[Prefix, Value], kind: AddressType) -> list[tuple[int, dict[int, Value]]]:
    """Return for each length, longest first, how far an address is shifted and the values by what remains."""
    levels: dict[int, dict[int, Value]] = {}
    for prefix, value in values.items():
        if prefix.kind == kind:
            shift = BITS[kind] - prefix.length
            levels.setdefault(shift, {})[prefix.first >> shift] = value
    return sorted(levels.items())
