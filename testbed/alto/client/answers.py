"""Answers read into maps and costs; what is wrong with one names the URI and the field (RFC 7285, section 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from testbed.alto import media_types
from testbed.alto.client.answer_errors import AltoAnswerError, StaleAnswerError
from testbed.alto.client.contents import content
from testbed.alto.costs.cost_type import Cost, CostType, announced
from testbed.alto.costs.cost_values import CostValues
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.addresses import BITS
from testbed.alto.maps.cost_map import CostMap
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.names import is_private, is_received_pid_name, is_tag
from testbed.alto.service.exchange import Answer
from testbed.alto.typed_fields import texts, typed
from testbed.alto.version_tags import VersionTag

Read = TypeVar("Read")
Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs between PIDs or endpoints: each a number, or an array with one of each type (`None`: not defined)."""

    cost_types: tuple[CostType, ...]
    is_multi: bool
    rows: Rows
    dependent_vtags: tuple[VersionTag, ...] = ()

    def as_map(self) -> CostMap:
        """Return a cost map of the one type that there is."""
        return CostMap(self.cost_types[0], self.rows, self.dependent_vtags)


@dataclass(frozen=True, slots=True)
class Properties:
    """Values by endpoint or entity and property, and the versions of the maps that they depend on."""

    values: Rows
    dependent_vtags: tuple[VersionTag, ...] = ()


def is_unchanged(answer: Answer) -> bool:
    """Return whether what the client has is still right."""
    return answer.status == 304


def network_map(uri: str, answer: Answer) -> NetworkMap:
    """Return the network map that an answer is; address types that are not known are passed over (11.2.1.7)."""
    document = content(uri, answer, media_types.NETWORK_MAP)

    def read() -> NetworkMap:
        vtag = _vtag(_meta(document).get("vtag"), "meta/vtag")
        pids = typed(document.get("network-map"), dict, "network-map")
        groups = {pid: _group(group, f"network-map/{pid}") for pid, group in pids.items()}
        return NetworkMap.received(vtag.resource_id, groups, vtag.tag)

    return _checked(uri, read)


def cost_map(uri: str, answer: Answer) -> Costs:
    """Return the costs between PIDs that an answer is, whole or filtered."""
    document = content(uri, answer, media_types.COST_MAP)

    def read() -> Costs:
        return _costs(document, "cost-map", _vtags(document, at_least=1))

    return _checked(uri, read)


def endpoint_costs(uri: str, answer: Answer) -> Costs:
    """Return the costs between endpoints that an answer is."""
    document = content(uri, answer, media_types.ENDPOINT_COSTS)
    return _checked(uri, lambda: _costs(document, "endpoint-cost-map", ()))


def endpoint_properties(uri: str, answer: Answer) -> Properties:
    """Return the properties of endpoints that an answer is; each value is a string (11.4.1.6)."""
    document = content(uri, answer, media_types.ENDPOINT_PROPERTIES)

    def read() -> Properties:
        name = "endpoint-properties"
        rows = _rows(document, name, lambda value, path: typed(value, str, path))
        return Properties(rows, _vtags(document, at_least=0))

    return _checked(uri, read)


def property_map(uri: str, answer: Answer) -> Properties:
    """Return the properties of entities that an answer is.

    A value is a string or `null` (RFC 9240, section 7.6); of a private property, it is whatever its maker chose.
    """
    document = content(uri, answer, media_types.PROPERTY_MAP)

    def read() -> Properties:
        rows = _rows(document, "property-map", _property)
        return Properties(rows, _vtags(document, at_least=0))

    return _checked(uri, read)


def check_version(uri: str, dependent_vtags: Sequence[VersionTag], own: NetworkMap) -> None:
    """Raise StaleAnswerError unless an answer depends on the version of a network map that is at hand."""
    for vtag in dependent_vtags:
        if vtag.resource_id == own.resource_id and vtag != own.vtag:
            raise StaleAnswerError(
                uri,
                f"it depends on {vtag.resource_id} as tagged {vtag.tag}, at hand is {own.tag}; fetch the map again",
            )


def _checked(uri: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except AltoDataError as error:
        raise AltoAnswerError(uri, str(error)) from None


def _meta(document: Mapping[str, Any]) -> dict[str, Any]:
    return typed(document.get("meta"), dict, "meta")


def _vtag(said: object, path: str) -> VersionTag:
    members = typed(said, dict, path)
    resource_id = typed(members.get("resource-id"), str, f"{path}/resource-id")
    tag = typed(members.get("tag"), str, f"{path}/tag")
    if not is_received_pid_name(resource_id) or not is_tag(tag):
        raise AltoDataError(f"{path} is no version tag (RFC 7285, section 10.3)")
    return VersionTag(resource_id, tag)


def _vtags(document: Mapping[str, Any], at_least: int) -> tuple[VersionTag, ...]:
    path = "meta/dependent-vtags"
    said = typed(_meta(document).get("dependent-vtags", None if at_least else []), list, path)
    if len(said) < at_least:
        raise AltoDataError(f"{path} is empty")
    return tuple(_vtag(vtag, path) for vtag in said)


def _group(said: object, path: str) -> dict[str, tuple[str, ...]]:
    members = typed(said, dict, path)
    return {kind: texts(members[kind], f"{path}/{kind}") for kind in members if kind in BITS}


def _costs(document: Mapping[str, Any], name: str, vtags: tuple[VersionTag, ...]) -> Costs:
    meta = _meta(document)
    is_multi = "multi-cost-types" in meta
    if is_multi:
        said = typed(meta["multi-cost-types"], list, "meta/multi-cost-types")
        cost_types = tuple(_cost_type(one, "meta/multi-cost-types") for one in said)
    else:
        cost_types = (_cost_type(meta.get("cost-type"), "meta/cost-type"),)
    values = [CostValues(cost_type) for cost_type in cost_types]
    read = _array_of(values) if is_multi else _one_of(values[0])
    return Costs(cost_types, is_multi, _rows(document, name, read), vtags)


def _cost_type(said: object, path: str) -> CostType:
    members = typed(said, dict, path)
    for field in ("cost-metric", "cost-mode"):
        typed(members.get(field), str, f"{path}/{field}")
    cost_type = CostType.of(members)
    return announced(cost_type) if cost_type.metric == "routingcost" else cost_type


def _one_of(values: CostValues) -> Callable[[object, str], Cost]:
    def read(value: object, path: str) -> Cost:
        try:
            return values.checked(value)
        except AltoDataError as error:
            raise AltoDataError(f"{path}: {error}") from None

    return read


def _array_of(values: Sequence[CostValues]) -> Callable[[object, str], list[Cost | None]]:
    one = [_one_of(value) for value in values]

    def read(value: object, path: str) -> list[Cost | None]:
        costs = typed(value, list, path)
        if len(costs) != len(one):
            raise AltoDataError(f"{path} has {len(costs)} costs of {len(one)} types")
        return [None if cost is None else read_one(cost, path) for read_one, cost in zip(one, costs, strict=True)]

    return read


def _property(value: object, path: str) -> Any:
    name = path.rpartition("/")[2]
    return value if value is None or is_private(name.rpartition(".")[2]) else typed(value, str, path)


def _rows(document: Mapping[str, Any], name: str, read: Callable[[object, str], Any]) -> Rows:
    rows = typed(document.get(name), dict, name)
    return {
        source: {
            key: read(value, f"{name}/{source}/{key}") for key, value in typed(row, dict, f"{name}/{source}").items()
        }
        for source, row in rows.items()
    }
