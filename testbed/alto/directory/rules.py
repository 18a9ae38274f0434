"""What all directories of a server together must be: the information resource closure (RFC 7285, 8.3.1 and 9.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from testbed.alto import media_types
from testbed.alto.costs.cost_type import CostType, announced
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.errors import AltoDataError
from testbed.alto.names import PRIVATE, is_private, is_resource_id, resource_of

_COST_RESOURCES = (media_types.COST_MAP, media_types.ENDPOINT_COSTS)
Offered = tuple[Directory, ResourceEntry]


def check_closure(directories: Sequence[Directory]) -> None:
    """Raise AltoDataError if directories, the root one first, cannot be those of a server."""
    problem = next(_problems(directories), None)
    if problem is not None:
        raise AltoDataError(problem)


def _problems(directories: Sequence[Directory]) -> Iterator[str]:
    offered = [(directory, entry) for directory in directories for entry in directory.entries]
    maps = {
        entry.resource_id for _, entry in offered if entry.media_type == media_types.NETWORK_MAP and not entry.accepts
    }
    yield from _of_names(offered)
    yield from _of_network_maps(directories[0], offered, maps)
    for directory, entry in offered:
        yield from (f"{entry.resource_id}: {problem}" for problem in _of_entry(directory, entry, maps))
    yield from _of_cost_maps(offered)


def _of_names(offered: Sequence[Offered]) -> Iterator[str]:
    for resource_id, count in Counter(entry.resource_id for _, entry in offered).items():
        if count > 1:
            yield f"{resource_id} is the ID of {count} resources (RFC 7285, section 9.1.1)"
        if not is_resource_id(resource_id):
            yield f"{resource_id!r} is no resource ID (RFC 7285, section 10.2)"


def _of_network_maps(root: Directory, offered: Sequence[Offered], maps: set[str]) -> Iterator[str]:
    if not maps:
        yield "there is no network map, and one there must be (RFC 7285, section 11.2.1)"
    if root.default_network_map not in maps:
        yield f"the default network map {root.default_network_map!r} is none of {', '.join(sorted(maps))}"
    looked_up = {name for _, entry in offered for name in entry.capabilities.prop_types}
    for network_map in sorted(maps):
        if f"{network_map}.pid" not in looked_up:
            yield f"no endpoint property resource offers {network_map}.pid (RFC 7285, section 11.4.1.4)"


def _of_entry(directory: Directory, entry: ResourceEntry, maps: set[str]) -> Iterator[str]:
    capabilities = entry.capabilities
    for name in (*capabilities.cost_type_names, *capabilities.testable_cost_type_names):
        if name not in directory.cost_types:
            yield f"its directory does not say which cost type {name!r} is"
    if entry.media_type in _COST_RESOURCES and not capabilities.cost_type_names:
        yield "it offers no cost type"
    if entry.media_type == media_types.COST_MAP:
        if not entry.accepts and len(capabilities.cost_type_names) != 1:
            yield "a full cost map has one cost type (RFC 7285, section 11.2.3.4)"
        if len(entry.uses) != 1 or entry.uses[0] not in maps:
            yield "a cost map uses one network map (RFC 7285, section 11.2.3.5)"
    if (
        entry.media_type == media_types.NETWORK_MAP
        and entry.accepts
        and (len(entry.uses) != 1 or entry.uses[0] not in maps)
    ):
        yield "a filtered network map uses one network map (RFC 7285, section 11.3.1.5)"
    if entry.media_type == media_types.ENDPOINT_COSTS and entry.uses:
        yield "the endpoint cost service uses no resource (RFC 7285, section 11.5.1.5)"
    if not set(capabilities.testable_cost_type_names) <= set(capabilities.cost_type_names):
        yield "what constraints test is among the cost types that it offers (RFC 8189)"
    for name in capabilities.prop_types:
        if resource_of(name) not in {None, *maps}:
            yield f"the property {name} depends on no network map of this server"
        if resource_of(name) is None and not is_private(name):
            yield f"the property {name} is neither that of a resource nor private ({PRIVATE}…), nor is it registered"


def _of_cost_maps(offered: Sequence[Offered]) -> Iterator[str]:
    keys: dict[tuple[str, object], str] = {}
    metrics = set()
    for directory, entry in offered:
        if entry.media_type not in _COST_RESOURCES:
            continue
        for cost_type in directory.offered(entry.capabilities.cost_type_names):
            yield from _of_cost_type(cost_type)
            if entry.media_type == media_types.COST_MAP and not entry.accepts:
                metrics.add(cost_type.metric)
                other = keys.setdefault((entry.uses[0], cost_type.key), entry.resource_id)
                if other != entry.resource_id:
                    yield f"{other} and {entry.resource_id} are one cost map (RFC 7285, section 6.1)"
        keys_here = [cost_type.key for cost_type in directory.offered(entry.capabilities.cost_type_names)]
        if len(set(keys_here)) < len(keys_here):
            yield f"{entry.resource_id}: two of its cost types differ in their context alone (RFC 9439, section 3.1)"
    if "routingcost" not in metrics:
        yield "there is no full cost map of the metric routingcost (RFC 7285, sections 6.1.1.1 and 11.2.3)"


def _of_cost_type(cost_type: CostType) -> Iterator[str]:
    try:
        announced(cost_type)
    except AltoDataError as error:
        yield str(error)
