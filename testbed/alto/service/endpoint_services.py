"""The endpoint property service and the endpoint cost service (RFC 7285, sections 11.4 and 11.5).

Costs between endpoints are those between their PIDs on the default network map, unless some are known more exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any

from testbed.alto import names
from testbed.alto.costs import metrics, ordinal
from testbed.alto.costs.cost_type import Cost, CostMode, CostType
from testbed.alto.errors import invalid_value, missing_field
from testbed.alto.maps.addresses import typed_address
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service import parameters
from testbed.alto.service.asked import Asked, Content, TooMuchAsked, response
from testbed.alto.service.cost_queries import Rows, read_query, remaining

MOST_PAIRS = 1 << 18  # a request of a megabyte could name half a milliard
_EMPTY: Mapping[str, Cost] = {}


def endpoint_properties(asked: Asked) -> Content:
    """Return the properties that are asked for of each endpoint; one that it does not have is left out (11.4.1.6)."""
    body = parameters.ENDPOINT_PROPERTIES.parse(asked.request.body)
    properties = dict.fromkeys(body["properties"])
    for name in properties:
        if name not in asked.entry.capabilities.prop_types:
            raise invalid_value("properties", name)
    values = {address: _properties(asked, address, properties) for address in dict.fromkeys(body["endpoints"])}
    queried = [resource for name in properties if (resource := names.resource_of(name)) is not None]
    vtags = [asked.network_map(resource).vtag.document() for resource in dict.fromkeys(queried)]
    return response({"dependent-vtags": vtags} if vtags else {}, "endpoint-properties", values)


def _properties(asked: Asked, address: str, properties: Mapping[str, None]) -> dict[str, str]:
    values = ((name, _property(asked, address, name)) for name in properties)
    return {name: value for name, value in values if value is not None}


def _property(asked: Asked, address: str, name: str) -> str | None:
    resource = names.resource_of(name)
    if resource is not None:
        return asked.network_map(resource).pid_of(address)
    known, typed = asked.knowledge.endpoint_properties.get(name), typed_address(address)
    return known.of(*typed) if known is not None and typed is not None else None


def endpoint_costs(asked: Asked) -> Content:
    """Return the costs between endpoints that are asked for and meet the constraints (11.5.1)."""
    capabilities = asked.entry.capabilities
    form = parameters.MULTI_ENDPOINT_COSTS if capabilities.max_cost_types else parameters.ENDPOINT_COSTS
    body = form.parse(asked.request.body)
    query = read_query(body, capabilities, asked.directory.cost_types)
    sources, destinations = _endpoints(body["endpoints"], asked.request.client_address)
    if len(sources) * len(destinations) > MOST_PAIRS:
        raise TooMuchAsked(f"{len(sources)} sources and {len(destinations)} destinations: at most {MOST_PAIRS} pairs")
    on = asked.network_map(asked.default_network_map)

    def rows_of(cost_type: CostType) -> Rows:
        known_here = cost_type.key in asked.knowledge.endpoint_costs
        if known_here or not asked.knowledge.is_ranked_here(on.resource_id, cost_type):
            return _rows(asked, on, cost_type, sources, destinations)
        numerical = _rows(asked, on, cost_type.in_mode(CostMode.NUMERICAL), sources, destinations)
        return ordinal.ranked(numerical, metrics.higher_is_better(cost_type.metric))

    return response(query.meta(), "endpoint-cost-map", remaining(query, rows_of))


def _endpoints(said: Mapping[str, list[str]], client_address: str | None) -> tuple[list[str], list[str]]:
    """Return sources and destinations, each once; where there are none, it is the client itself."""
    sources, destinations = (list(dict.fromkeys(said.get(side, ()))) for side in ("srcs", "dsts"))
    if not sources and not destinations:
        raise invalid_value("endpoints", said)
    return sources or _client(client_address, "endpoints/srcs"), destinations or _client(
        client_address, "endpoints/dsts"
    )


def _client(client_address: str | None, field: str) -> list[str]:
    try:
        address = ip_address((client_address or "").partition("%")[0])
    except ValueError:  # it came over no IP, or nobody said from where
        raise missing_field(field) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return [f"ipv{address.version}:{address}"]


def _rows(
    asked: Asked, on: NetworkMap, cost_type: CostType, sources: Sequence[str], destinations: Sequence[str]
) -> dict[str, dict[str, Cost]]:
    rows = asked.knowledge.cost_map(on, cost_type).rows
    exact = asked.knowledge.endpoint_costs.get(cost_type.key)
    pids = [(address, on.pid_of(address)) for address in destinations]
    found: dict[str, dict[str, Cost]] = {}
    for source in sources:
        row = rows.get(on.pid_of(source) or "")
        costs: Mapping[str, Cost] = _EMPTY if row is None else row.costs
        found[source] = {address: costs[pid] for address, pid in pids if pid is not None and pid in costs}
        if exact is not None:
            found[source].update(_exact(exact, source, destinations))
    return found


def _exact(exact: Mapping[tuple[str, str], Any], source: str, destinations: Sequence[str]) -> dict[str, Cost]:
    return {address: exact[source, address] for address in destinations if (source, address) in exact}
