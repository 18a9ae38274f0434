"""The map service and the map-filtering service (RFC 7285, sections 11.2 and 11.3)."""

from __future__ import annotations

from testbed.alto import json_octets
from testbed.alto.costs import metrics, ordinal
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.service import parameters
from testbed.alto.service.asked import Asked, Content, response
from testbed.alto.service.cost_queries import Rows, read_query, remaining


def network_map(asked: Asked) -> Content:
    """Return a whole network map."""
    known = asked.network_map(asked.entry.resource_id)
    return Content(known.octets, known.tag)


def filtered_network_map(asked: Asked) -> Content:
    """Return the PIDs and address types that are asked for, under the tag of the whole map (11.3.1.6)."""
    body = parameters.NETWORK_MAP_FILTER.parse(asked.request.body)
    known = asked.network_map(asked.entry.uses[0])
    return Content(json_octets.encode(known.document(known.select(body["pids"], body.get("address-types", ())))))


def cost_map(asked: Asked) -> Content:
    """Return a whole cost map, which has one cost type."""
    cost_type = asked.directory.cost_types[asked.entry.capabilities.cost_type_names[0]]
    known = asked.knowledge.cost_map(asked.network_map(asked.entry.uses[0]), cost_type)
    return Content(known.octets, known.tag)


def filtered_cost_map(asked: Asked) -> Content:
    """Return the costs between PIDs that are asked for and meet the constraints (11.3.2)."""
    capabilities = asked.entry.capabilities
    form = parameters.MULTI_COST_MAP_FILTER if capabilities.max_cost_types else parameters.COST_MAP_FILTER
    body = form.parse(asked.request.body)
    query = read_query(body, capabilities, asked.directory.cost_types)
    on = asked.network_map(asked.entry.uses[0])
    pids = body.get("pids", {"srcs": [], "dsts": []})
    sources, destinations = pids["srcs"], pids["dsts"]
    if query.is_plain and not sources and not destinations:  # nothing is filtered: the octets are there
        return Content(asked.knowledge.cost_map(on, query.wanted[0]).octets)

    def rows_of(cost_type: CostType) -> Rows:
        if not asked.knowledge.is_ranked_here(on.resource_id, cost_type):
            return asked.knowledge.cost_map(on, cost_type).select(sources, destinations)
        numerical = asked.knowledge.cost_map(on, cost_type.in_mode(CostMode.NUMERICAL)).select(sources, destinations)
        return ordinal.ranked(numerical, metrics.higher_is_better(cost_type.metric))

    meta = {"dependent-vtags": [on.vtag.document()], **query.meta()}
    return response(meta, "cost-map", remaining(query, rows_of))
