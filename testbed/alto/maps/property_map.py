"""Property maps: properties of entities, with what Internet addresses inherit (RFC 9240, sections 6 to 8).

A prefix inherits a property from the longest prefix around it that has a value; `null` says that there is none and
ends the inheritance. What has no hierarchy, such as PIDs, inherits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from testbed.alto import json_octets
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.addresses import Prefix
from testbed.alto.maps.entities import Entity, entity, is_entity_property, of_prefix
from testbed.alto.maps.prefix_table import PrefixTable
from testbed.alto.names import PropertyName, ResourceID
from testbed.alto.version_tags import tag_of

Values = Mapping[str, Mapping[PropertyName, Any]]
Table = PrefixTable[tuple[Any]]  # values in tuples, for `null` is a value, too


class PropertyMap:
    """Values of properties by entity, as they are defined; it does not change."""

    def __init__(self, resource_id: ResourceID, values: Values) -> None:
        """Take values; raises AltoDataError."""
        self.resource_id = resource_id
        self._named: dict[str, dict[str, dict[PropertyName, Any]]] = {}
        blocks: dict[tuple[str, PropertyName], dict[Prefix, tuple[Any]]] = {}
        for text, properties in values.items():
            known = self._entity(text, properties)
            for name, value in properties.items():
                if known.prefix is None:
                    self._named.setdefault(known.domain, {}).setdefault(known.name, {})[name] = value
                else:
                    blocks.setdefault((known.domain, name), {})[known.prefix] = (value,)
        self._tables: dict[tuple[str, PropertyName], Table] = {key: PrefixTable(table) for key, table in blocks.items()}

    def _entity(self, text: str, properties: Iterable[PropertyName]) -> Entity:
        known = entity(text)
        if known is None:
            raise AltoDataError(f"{self.resource_id}: {text!r} is no entity (RFC 9240, section 5.1)")
        odd = [name for name in properties if not is_entity_property(name)]
        if odd:
            raise AltoDataError(f"{self.resource_id}: {odd[0]!r} is no name of a property (RFC 9240, section 5.2)")
        return known

    def table(self, domain: str, name: PropertyName) -> Table:
        """Return the values of a property in a domain of Internet addresses, by prefix."""
        return self._tables.get((domain, name)) or PrefixTable({})

    def named(self, known: Entity, names: Iterable[PropertyName]) -> dict[PropertyName, Any]:
        """Return the values of an entity that inherits nothing."""
        values = self._named.get(known.domain, {}).get(known.name, {})
        return {name: values[name] for name in names if name in values}

    def defined(self, mappings: Mapping[str, Iterable[PropertyName]]) -> dict[str, dict[PropertyName, Any]]:
        """Return what is defined of the properties of each domain, without what is inherited."""
        found: dict[str, dict[PropertyName, Any]] = {}
        for domain, names in mappings.items():
            for name in names:
                for block, (value,) in sorted(self.table(domain, name).values.items(), key=_in_order):
                    found.setdefault(str(of_prefix(domain, block)), {})[name] = value
            for named in self._named.get(domain, {}):
                values = self.named(Entity(domain, named), names)
                if values:
                    found[f"{domain}:{named}"] = values
        return found

    @cached_property
    def tag(self) -> str:
        """Return the tag, derived from the content."""
        domains = {domain for domain, _ in self._tables} | self._named.keys()
        names = {
            domain: {name for other, name in self._tables if other == domain}
            | {name for values in self._named.get(domain, {}).values() for name in values}
            for domain in domains
        }
        return tag_of(json_octets.canonical(self.defined(names)))


def answered(
    domain: str, asked: Entity, tables: Mapping[PropertyName, Table]
) -> Iterator[tuple[Entity, dict[str, Any]]]:
    """Return the values of a prefix and of all in it that differ, so that nothing is left to look up elsewhere.

    Prefixes inside that cover it wholly stand in its place (RFC 9240, section 8.6).
    """
    assert asked.prefix is not None
    inner = sorted({block for table in tables.values() for block in table.inside(asked.prefix)}, key=_position)
    outermost = list(_outermost(inner))
    is_covered = sum(block.addresses for block in outermost) == asked.prefix.addresses
    if not is_covered:
        yield asked, _inherited(asked.prefix, tables)
    for block in inner:
        is_top = is_covered and block in outermost
        values = _inherited(block, tables) if is_top else _own(block, tables)
        yield of_prefix(domain, block), values


def _inherited(block: Prefix, tables: Mapping[PropertyName, Table]) -> dict[str, Any]:
    found = ((name, table.covering(block)) for name, table in tables.items())
    return {name: value[0] for name, value in found if value is not None}


def _own(block: Prefix, tables: Mapping[PropertyName, Table]) -> dict[str, Any]:
    return {name: table.values[block][0] for name, table in tables.items() if block in table.values}


def _outermost(blocks: Iterable[Prefix]) -> Iterator[Prefix]:
    """Return those of sorted prefixes that are in none of the others."""
    last: Prefix | None = None
    for block in blocks:
        if last is None or not last.covers(block):
            last = block
            yield block


def _position(block: Prefix) -> tuple[int, int]:
    return block.first, block.length


def _in_order(item: tuple[Prefix, object]) -> tuple[int, int]:
    return _position(item[0])
