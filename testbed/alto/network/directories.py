"""The directory of a server of one network: its maps, costs of several types, properties, and an update stream of them.

Pure. Resources are named as the cost types and property maps that they have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.alto import media_types
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.reading import read_directory
from testbed.alto.network.static_knowledge import NETWORK_MAP, NODE_PROPERTY, NOMINAL, PROPERTIES
from testbed.alto.updates.directory_entry import stream_entry

DIRECTORY_PATH, UPDATES_PATH = "/directory", "/updates"
_MODES = (CostMode.NUMERICAL, CostMode.ORDINAL)
_OF_PIDS = {
    "ipv4": [f"{NETWORK_MAP}.pid"],
    "ipv6": [f"{NETWORK_MAP}.pid"],
    f"{NETWORK_MAP}.pid": [".name", ".kind", ".latitude", ".longitude", ".hosts"],
}
STATIC_TYPES = tuple(cost_type.in_mode(mode) for cost_type in NOMINAL for mode in _MODES)
Mappings = Mapping[str, Sequence[str]]


def directory(
    cost_types: Sequence[CostType] = STATIC_TYPES,
    properties: Mapping[str, Mappings] = {},
    endpoint_properties: Sequence[str] = (),
) -> Directory:
    """Return a directory with a cost map of each type, and property maps of entities that are in no network map."""
    types = {f"{cost_type.metric}-{cost_type.mode.value}": cost_type for cost_type in cost_types}
    maps = {name: _entry(f"/costs/{name}", media_types.COST_MAP, {"cost-type-names": [name]}) for name in types}
    several = {"cost-type-names": list(types), "cost-constraints": True, "max-cost-types": len(types)}
    resources: dict[str, Any] = {
        NETWORK_MAP: {"uri": "/net", "media-type": media_types.NETWORK_MAP},
        "net-filtered": _entry("/net/filtered", media_types.NETWORK_MAP, None, media_types.NETWORK_MAP_FILTER),
        **maps,
        "costs-filtered": _entry("/costs/filtered", media_types.COST_MAP, several, media_types.COST_MAP_FILTER),
        "endpoint-costs": {
            "uri": "/endpoints/costs",
            "media-type": media_types.ENDPOINT_COSTS,
            "accepts": media_types.ENDPOINT_COST_PARAMS,
            "capabilities": several,
        },
        "endpoint-properties": {
            "uri": "/endpoints/properties",
            "media-type": media_types.ENDPOINT_PROPERTIES,
            "accepts": media_types.ENDPOINT_PROPERTY_PARAMS,
            "capabilities": {"prop-types": [f"{NETWORK_MAP}.pid", NODE_PROPERTY, *endpoint_properties]},
        },
        **_property_maps(PROPERTIES, _OF_PIDS, [NETWORK_MAP]),
    }
    for name, mappings in properties.items():
        resources |= _property_maps(name, mappings, [])
    followed = [NETWORK_MAP, *maps, "costs-filtered", "endpoint-costs", PROPERTIES, *properties]
    resources["updates"] = stream_entry("updates", UPDATES_PATH, followed).document()
    meta = {
        "cost-types": {name: cost_type.document() for name, cost_type in types.items()},
        "default-alto-network-map": NETWORK_MAP,
    }
    return read_directory({"meta": meta, "resources": resources})


def _entry(uri: str, media_type: str, capabilities: object, accepts: str = "") -> dict[str, Any]:
    said: dict[str, Any] = {"uri": uri, "media-type": media_type, "uses": [NETWORK_MAP]}
    if accepts:
        said["accepts"] = accepts
    return said if capabilities is None else {**said, "capabilities": capabilities}


def _property_maps(name: str, mappings: Mappings, uses: Sequence[str]) -> dict[str, Any]:
    """Return the entries of a property map, whole and filtered."""
    whole: dict[str, Any] = {
        "uri": f"/{name}",
        "media-type": media_types.PROPERTY_MAP,
        "capabilities": {"mappings": {domain: list(names) for domain, names in mappings.items()}},
    }
    if uses:
        whole["uses"] = list(uses)
    filtered = {**whole, "uri": f"/{name}/filtered", "accepts": media_types.PROPERTY_MAP_PARAMS}
    return {name: whole, f"{name}-filtered": filtered}
