"""Property maps, whole and filtered (RFC 9240, sections 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from testbed.alto import json_octets, names
from testbed.alto.errors import invalid_value
from testbed.alto.maps.addresses import BITS
from testbed.alto.maps.entities import Entity, entity, of_prefix, resource_of_domain
from testbed.alto.maps.property_map import PropertyMap, Table, answered
from testbed.alto.names import PropertyName
from testbed.alto.service import parameters
from testbed.alto.service.asked import Asked, Content, response
from testbed.alto.version_tags import tag_of


def property_map(asked: Asked) -> Content:
    """Return all values that are defined, without those that are inherited (7.6)."""
    known, mappings = _known(asked), asked.entry.capabilities.mappings
    values = known.defined(mappings)
    for domain, properties in mappings.items():
        for name in properties:
            of_map, kind = _of_network_map(asked, domain, name), domain.rpartition(".")[2]
            for block, (pid,) in of_map.values.items() if of_map is not None else ():
                if block.kind == kind:
                    values.setdefault(str(of_prefix(domain, block)), {})[name] = pid
    octets = json_octets.encode({"meta": _meta(asked, asked.entry.uses), "property-map": values})
    return Content(octets, tag_of(octets))


def filtered_property_map(asked: Asked) -> Content:
    """Return the values of the entities that are asked for, inherited ones included (8.6)."""
    body = parameters.PROPERTY_MAP_FILTER.parse(asked.request.body)
    mappings = asked.entry.capabilities.mappings
    properties = dict.fromkeys(body["properties"])
    offered = {name for names_here in mappings.values() for name in names_here}
    for name in properties:
        if name not in offered:
            raise invalid_value("properties", name)
    entities = [_entity(text, mappings) for text in dict.fromkeys(body["entities"])]
    values: dict[str, dict[str, Any]] = {}
    for wanted in entities:
        here = [name for name in properties if name in mappings[wanted.domain]]
        for found, said in _values(asked, wanted, here):
            if said:
                values.setdefault(str(found), {}).update(said)
    return response(_meta(asked, _dependencies(asked, entities, properties)), "property-map", values)


def _entity(text: str, mappings: Mapping[str, tuple[str, ...]]) -> Entity:
    wanted = entity(text)
    if wanted is None or wanted.domain not in mappings:
        raise invalid_value("entities", text)
    return wanted


def _values(asked: Asked, wanted: Entity, properties: list[PropertyName]) -> Iterable[tuple[Entity, dict[str, Any]]]:
    known = _known(asked)
    if wanted.prefix is None:
        return [(wanted, known.named(wanted, properties))]
    return answered(wanted.domain, wanted, {name: _table(asked, known, wanted.domain, name) for name in properties})


def _table(asked: Asked, known: PropertyMap, domain: str, name: PropertyName) -> Table:
    of_map = _of_network_map(asked, domain, name)
    return known.table(domain, name) if of_map is None else of_map


def _of_network_map(asked: Asked, domain: str, name: PropertyName) -> Table | None:
    """Return the PIDs of prefixes, if that is the property: it is the network map that defines it."""
    resource, kind = names.resource_of(name), domain.rpartition(".")[2]
    if not resource or not name.endswith(".pid") or kind not in BITS:
        return None
    return asked.network_map(resource).pid_property


def _dependencies(asked: Asked, entities: Iterable[Entity], properties: Iterable[PropertyName]) -> Iterable[str]:
    """Return the resources that the response depends on, in the order of `uses` (8.6)."""
    domains = {resource_of_domain(wanted.domain) for wanted in entities}
    if None in domains:
        return asked.entry.uses
    needed = domains | {names.resource_of(name) for name in properties}
    return [resource for resource in asked.entry.uses if resource in needed]


def _meta(asked: Asked, resources: Iterable[str]) -> dict[str, Any]:
    vtags = [asked.network_map(resource).vtag.document() for resource in resources]
    return {"dependent-vtags": vtags} if vtags else {}


def _known(asked: Asked) -> PropertyMap:
    known = asked.knowledge.property_maps.get(asked.entry.resource_id)
    return PropertyMap(asked.entry.resource_id, {}) if known is None else known
