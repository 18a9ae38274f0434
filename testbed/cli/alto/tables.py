"""What ALTO answers, as tables of a terminal: resources, network maps, costs, properties."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from testbed.alto import json_octets, media_types
from testbed.alto.client import answers
from testbed.alto.client.answers import Costs, Properties
from testbed.alto.client.closure import Closure, Resource
from testbed.alto.costs import metrics
from testbed.alto.costs.cost_type import CostType
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service.exchange import Answer
from testbed.errors import InputError

_WIDEST_MATRIX = 10  # destinations; more of them are listed pair by pair
_MOST_PROPERTIES = 6  # beside each other
_KINDS = {
    media_types.NETWORK_MAP: "network map",
    media_types.COST_MAP: "cost map",
    media_types.ENDPOINT_PROPERTIES: "endpoint properties",
    media_types.ENDPOINT_COSTS: "endpoint costs",
    media_types.PROPERTY_MAP: "property map",
    media_types.UPDATE_STREAM: "update stream",
}


class NotShown(InputError):
    """A resource that no table shows."""


def resources(closure: Closure) -> Table:
    """Return all resources of a directory."""
    table = _table("resource", "what it is", "filter", "offers", "uses")
    for name, resource in closure.resources.items():
        entry = resource.entry
        is_default = " (default)" if name == closure.default_network_map else ""
        kind = _KINDS.get(entry.media_type, entry.media_type)
        takes = "needed" if entry.accepts else ""
        table.add_row(name + is_default, kind, takes, _offered(resource), _few(entry.uses))
    return table


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _offered(resource: Resource) -> str:
    said = resource.entry.capabilities
    named = {name for names in said.mappings.values() for name in names}
    offered = [_title(cost_type) for cost_type in resource.cost_types] or [*said.prop_types, *sorted(named)]
    return ", ".join(offered) + ("; constraints" if said.cost_constraints else "")


def of_answer(resource: Resource, answer: Answer) -> Table:
    """Return an answer as a table. Raises AltoAnswerError, or NotShown."""
    uri, media_type = resource.uri, resource.entry.media_type
    if media_type == media_types.NETWORK_MAP:
        return network_map(answers.network_map(uri, answer))
    if media_type == media_types.COST_MAP:
        return costs(answers.cost_map(uri, answer))
    if media_type == media_types.ENDPOINT_COSTS:
        return costs(answers.endpoint_costs(uri, answer))
    if media_type == media_types.ENDPOINT_PROPERTIES:
        return properties(answers.endpoint_properties(uri, answer))
    if media_type == media_types.PROPERTY_MAP:
        return properties(answers.property_map(uri, answer))
    raise NotShown(f"{resource.resource_id} is {media_type}, which no table shows; --json prints it as it is")


def network_map(known: NetworkMap) -> Table:
    """Return the PIDs of a network map."""
    kinds = sorted(known.address_types)
    table = _table("PID", *kinds, title=f"{known.resource_id}, tag {known.tag}")
    for pid, group in known.pids.items():
        table.add_row(pid, *("\n".join(group.get(kind, ())) for kind in kinds))
    return table


def costs(known: Costs) -> Table:
    """Return costs: a matrix where that has room, else a line for each pair."""
    title = ", ".join(map(_title, known.cost_types))
    destinations = list(dict.fromkeys(name for row in known.rows.values() for name in row))
    if len(destinations) <= _WIDEST_MATRIX and not known.is_multi:
        table = _table("from \\ to", *destinations, title=title)
        for source, row in known.rows.items():
            table.add_row(source, *(_number(row.get(name)) for name in destinations))
        return table
    table = _table("from", "to", *map(_title, known.cost_types), title=title)
    for source, row in known.rows.items():
        for destination, cost in row.items():
            table.add_row(source, destination, *map(_number, cost if known.is_multi else [cost]))
    return table


def properties(known: Properties) -> Table:
    """Return properties, a line for each endpoint or entity; of many properties, one for each."""
    names = list(dict.fromkeys(name for row in known.values.values() for name in row))
    if len(names) > _MOST_PROPERTIES:
        table = _table("of", "property", "value")
        for entity, row in known.values.items():
            for number, name in enumerate(row):
                table.add_row("" if number else entity, name, _value(row[name]))
        return table
    table = _table("of", *names)
    for entity, row in known.values.items():
        table.add_row(entity, *(_value(row.get(name)) for name in names))
    return table


def _value(value: Any) -> str:
    """Return the value of a property: private ones may be anything that JSON has."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_octets.encode(value).decode()


def _title(cost_type: CostType) -> str:
    metric = metrics.registered(cost_type.metric)
    is_numerical = cost_type.mode.value == "numerical"
    unit = f", {metric.unit}" if is_numerical and metric is not None and metric.unit not in ("", "hops") else ""
    return f"{cost_type.metric} ({cost_type.mode.value}{unit})"


def _number(cost: Any) -> str:
    return "" if cost is None else f"{cost:.10g}"


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
