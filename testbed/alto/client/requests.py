"""Requests for resources, checked against what each says it can do before anything is sent (RFC 7285, 8.3.2, 11).

Paths of these requests are absolute URIs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.alto import json_octets, media_types
from testbed.alto.client.closure import Resource
from testbed.alto.costs.cost_type import CostType
from testbed.alto.errors import AltoDataError
from testbed.alto.service.exchange import Request


@dataclass(frozen=True, slots=True)
class CostQuestion:
    """Which costs: of one type or of several, and the constraints that they are to meet."""

    cost_types: Sequence[CostType]
    constraints: Sequence[str] = ()
    or_constraints: Sequence[Sequence[str]] = ()
    testable_cost_types: Sequence[CostType] = ()
    is_multi: bool = False


def whole(resource: Resource, tag: str | None = None) -> Request:
    """Ask for a resource that takes no parameters, if it is not of the version at hand. Raises AltoDataError."""
    if resource.entry.accepts:
        raise AltoDataError(f"{resource.resource_id} takes parameters ({resource.entry.accepts})")
    known = {} if tag is None else {"If-None-Match": f'"{tag}"'}
    return Request("GET", resource.uri, {**_accept(resource), **known})


def filtered_network_map(resource: Resource, pids: Iterable[str] = (), address_types: Iterable[str] = ()) -> Request:
    """Ask for some PIDs and address types; none are all."""
    types = list(address_types)
    body = {"pids": list(pids), **({"address-types": types} if types else {})}
    return _with(resource, media_types.NETWORK_MAP_FILTER, body)


def filtered_cost_map(
    resource: Resource, question: CostQuestion, sources: Iterable[str] = (), destinations: Iterable[str] = ()
) -> Request:
    """Ask for costs between some PIDs; none are all. Raises AltoDataError."""
    pids = {"srcs": list(sources), "dsts": list(destinations)}
    body = _costs(resource, question)
    return _with(resource, media_types.COST_MAP_FILTER, body | ({"pids": pids} if any(pids.values()) else {}))


def endpoint_costs(
    resource: Resource, question: CostQuestion, sources: Iterable[str] = (), destinations: Iterable[str] = ()
) -> Request:
    """Ask for costs between endpoints; a side without any is the client itself. Raises AltoDataError."""
    endpoints = {"srcs": list(sources), "dsts": list(destinations)}
    if not any(endpoints.values()):
        raise AltoDataError(f"{resource.resource_id}: sources, destinations or both are to be said")
    return _with(resource, media_types.ENDPOINT_COST_PARAMS, {**_costs(resource, question), "endpoints": endpoints})


def endpoint_properties(resource: Resource, properties: Sequence[str], endpoints: Sequence[str]) -> Request:
    """Ask for properties of endpoints. Raises AltoDataError."""
    offered = resource.entry.capabilities.prop_types
    _check_offered(resource, properties, offered)
    if not properties or not endpoints:
        raise AltoDataError(f"{resource.resource_id}: at least one property and one endpoint")
    body = {"properties": list(properties), "endpoints": list(endpoints)}
    return _with(resource, media_types.ENDPOINT_PROPERTY_PARAMS, body)


def filtered_property_map(resource: Resource, properties: Sequence[str], entities: Sequence[str]) -> Request:
    """Ask for properties of entities (RFC 9240). Raises AltoDataError."""
    offered = [name for names in resource.entry.capabilities.mappings.values() for name in names]
    _check_offered(resource, properties, offered)
    if not properties or not entities:
        raise AltoDataError(f"{resource.resource_id}: at least one property and one entity")
    return _with(
        resource, media_types.PROPERTY_MAP_PARAMS, {"entities": list(entities), "properties": list(properties)}
    )


def _costs(resource: Resource, question: CostQuestion) -> dict[str, Any]:
    can = resource.entry.capabilities
    _check_offered(resource, question.cost_types, resource.cost_types)
    _check_offered(resource, question.testable_cost_types, resource.testable_cost_types)
    is_multi = question.is_multi or len(question.cost_types) > 1
    is_extended = is_multi or bool(question.or_constraints or question.testable_cost_types)
    if not question.cost_types or (is_extended and len(question.cost_types) > can.max_cost_types):
        raise AltoDataError(f"{resource.resource_id} takes up to {max(1, can.max_cost_types)} cost types")
    if (question.constraints or question.or_constraints) and not can.cost_constraints:
        raise AltoDataError(f"{resource.resource_id} takes no constraints")
    if question.constraints and question.or_constraints:
        raise AltoDataError("either constraints that all hold, or alternatives of them")
    documents = [_key(cost_type) for cost_type in question.cost_types]
    said: dict[str, Any] = {"multi-cost-types": documents} if is_multi else {"cost-type": documents[0]}
    optional: Mapping[str, list[Any]] = {
        "testable-cost-types": [_key(cost_type) for cost_type in question.testable_cost_types],
        "constraints": list(question.constraints),
        "or-constraints": [list(together) for together in question.or_constraints],
    }
    return said | {name: value for name, value in optional.items() if value}


def _key(cost_type: CostType) -> dict[str, str]:
    """Return a cost type without its description, which a client leaves out (11.3.2.3)."""
    return {"cost-mode": cost_type.mode.value, "cost-metric": cost_type.metric}


def _check_offered(resource: Resource, wanted: Iterable[object], offered: Iterable[object]) -> None:
    known = list(offered)
    for one in wanted:
        if one not in known:
            names = ", ".join(map(_name, known)) or "nothing of the kind"
            raise AltoDataError(f"{resource.resource_id} does not offer {_name(one)}; it offers {names}")


def _name(one: object) -> str:
    return f"{one.mode.value} {one.metric}" if isinstance(one, CostType) else str(one)


def _with(resource: Resource, parameters: str, body: object) -> Request:
    if resource.entry.accepts != parameters:
        raise AltoDataError(
            f"{resource.resource_id} takes {resource.entry.accepts or 'no parameters'}, not {parameters}"
        )
    return Request("POST", resource.uri, {**_accept(resource), "Content-Type": parameters}, json_octets.encode(body))


def _accept(resource: Resource) -> dict[str, str]:
    return {"Accept": f"{resource.entry.media_type},{media_types.ERROR}"}
