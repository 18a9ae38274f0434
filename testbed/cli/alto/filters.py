"""Filters of `dyncast alto get`: what `--filter KEY=VALUE` says, and the request of a resource that it comes to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from testbed.alto import media_types
from testbed.alto.client import requests
from testbed.alto.client.closure import Closure, Resource
from testbed.alto.client.requests import CostQuestion
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.errors import AltoDataError
from testbed.alto.service.exchange import Request
from testbed.errors import InputError

KEYS: Mapping[str, str] = {
    "pids": "PIDs of a network map",
    "types": "address types of a network map: ipv4,ipv6",
    "src": "sources of costs: PIDs, or endpoints such as ipv4:10.1.0.10",
    "dst": "destinations of costs",
    "cost": "cost types: delay-ow, or delay-ow/ordinal; several, where the resource takes several",
    "where": "a constraint, such as 'le 2000'; of the second of several cost types: '[1] le 3'; all must hold",
    "endpoints": "endpoints whose properties are asked for",
    "entities": "entities whose properties are asked for, such as ipv4:10.1.0.10 or net.pid:Chicago",
    "properties": "properties, such as net.pid or .kind",
}
_ONCE = "said once, with commas"


class FilterError(InputError):
    """A filter that means nothing here; the text names it and the way out."""


@dataclass(frozen=True)
class Filter:
    """What is asked for, by key; `where` are constraints."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.where)

    def of(self, key: str) -> tuple[str, ...]:
        """Return the values of a key, none where it was not said."""
        return self.values.get(key, ())


def parse(texts: Iterable[str]) -> Filter:
    """Return what all `--filter` say. Raises FilterError."""
    values: dict[str, tuple[str, ...]] = {}
    where = []
    for text in texts:
        key, equals, value = text.partition("=")
        if key not in KEYS or not equals or not value.strip():
            raise FilterError(f"--filter {text!r}: must be KEY=VALUE with one of the keys {', '.join(KEYS)}")
        if key == "where":
            where.append(value.strip())
        elif key in values:
            raise FilterError(f"--filter {key}=… stands twice; it is {_ONCE}: {key}=ONE,OTHER")
        else:
            values[key] = tuple(part.strip() for part in value.split(",") if part.strip())
    return Filter(values, tuple(where))


def filtering(closure: Closure, resource: Resource) -> Resource:
    """Return the resource that takes filters of what a resource is whole. Raises FilterError."""
    if resource.entry.accepts:
        return resource
    uses = {resource.resource_id, *resource.entry.uses}
    for other in closure.find(resource.entry.media_type):
        offers_all = all(cost_type in other.cost_types for cost_type in resource.cost_types)
        if other.entry.accepts and set(other.entry.uses) <= uses and offers_all:
            return other
    raise FilterError(f"{resource.resource_id} is served whole, and this server has no resource that filters it")


def request(resource: Resource, said: Filter, whole: Resource | None = None) -> Request:
    """Return the request for a part of a resource; `whole` is the one that was named. Raises InputError."""
    make, keys = _FORMS.get(resource.entry.accepts, (None, ()))
    if make is None:
        raise FilterError(f"{resource.resource_id} takes {resource.entry.accepts}, which this client does not know")
    odd = [key for key in (*said.values, *(["where"] if said.where else [])) if key not in keys]
    if odd:
        raise FilterError(f"--filter {odd[0]}=… means nothing for {resource.resource_id}; it takes {', '.join(keys)}")
    return make(resource, said, whole)


def _network_map(resource: Resource, said: Filter, _whole: Resource | None) -> Request:
    return requests.filtered_network_map(resource, said.of("pids"), said.of("types"))


def _cost_map(resource: Resource, said: Filter, whole: Resource | None) -> Request:
    return requests.filtered_cost_map(resource, _question(resource, said, whole), said.of("src"), said.of("dst"))


def _endpoint_costs(resource: Resource, said: Filter, whole: Resource | None) -> Request:
    return requests.endpoint_costs(resource, _question(resource, said, whole), said.of("src"), said.of("dst"))


def _endpoint_properties(resource: Resource, said: Filter, _whole: Resource | None) -> Request:
    properties = said.of("properties") or resource.entry.capabilities.prop_types
    return requests.endpoint_properties(resource, properties, said.of("endpoints"))


def _property_map(resource: Resource, said: Filter, _whole: Resource | None) -> Request:
    entities = said.of("entities")
    mappings = resource.entry.capabilities.mappings
    domains = {domain for domain in mappings if any(entity.startswith(f"{domain}:") for entity in entities)}
    offered = dict.fromkeys(name for domain in mappings if domain in domains for name in mappings[domain])
    return requests.filtered_property_map(resource, said.of("properties") or tuple(offered), entities)


_Make = Callable[[Resource, Filter, "Resource | None"], Request]
_COSTS = ("src", "dst", "cost", "where")
_FORMS: Mapping[str, tuple[_Make, tuple[str, ...]]] = {
    media_types.NETWORK_MAP_FILTER: (_network_map, ("pids", "types")),
    media_types.COST_MAP_FILTER: (_cost_map, _COSTS),
    media_types.ENDPOINT_COST_PARAMS: (_endpoint_costs, _COSTS),
    media_types.ENDPOINT_PROPERTY_PARAMS: (_endpoint_properties, ("endpoints", "properties")),
    media_types.PROPERTY_MAP_PARAMS: (_property_map, ("entities", "properties")),
}


def _question(resource: Resource, said: Filter, whole: Resource | None) -> CostQuestion:
    named = [_cost_type(text) for text in said.of("cost")]
    if not named and whole is not None:
        named = list(whole.cost_types)
    if not named:
        named = list(resource.cost_types[:1])
    return CostQuestion(named, said.where)


def _cost_type(text: str) -> CostType:
    metric, slash, mode = text.partition("/")
    modes = [known.value for known in CostMode]
    if slash and mode not in modes:
        raise FilterError(f"--filter cost={text}: must be METRIC or METRIC/MODE with one of {', '.join(modes)}")
    try:
        return CostType(metric, CostMode(mode) if mode else CostMode.NUMERICAL)
    except AltoDataError as error:
        raise FilterError(f"--filter cost={text}: {error}") from error


def user(text: str | None) -> tuple[str, str] | None:
    """Return name and password of `--user NAME:PASSWORD`. Raises FilterError."""
    if text is None:
        return None
    match = re.fullmatch(r"([^:]+):(.+)", text, re.DOTALL)
    if match is None:
        raise FilterError("--user must be NAME:PASSWORD")
    return match[1], match[2]
