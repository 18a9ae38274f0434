"""ALTO's samples: the data of RFC 7285's examples, the server that has them, and requests to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from testbed.alto import media_types
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.reading import read_directory
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service

MAP = "my-default-network-map"
ROUTING = CostType("routingcost", description="My default")
HOPS = CostType("hopcount")
COST_TYPES: dict[str, Any] = {
    "num-routing": {"cost-mode": "numerical", "cost-metric": "routingcost", "description": "My default"},
    "num-hop": {"cost-mode": "numerical", "cost-metric": "hopcount"},
    "ord-routing": {"cost-mode": "ordinal", "cost-metric": "routingcost"},
    "ord-hop": {"cost-mode": "ordinal", "cost-metric": "hopcount"},
}
NAMES = list(COST_TYPES)
OFFERED: dict[str, Any] = {"cost-constraints": True, "cost-type-names": NAMES}
# Section 9.2.3, without the comma too many that the RFC has.
ROOT: dict[str, Any] = {
    "meta": {"cost-types": COST_TYPES, "default-alto-network-map": MAP},
    "resources": {
        MAP: {"uri": "http://alto.example.com/networkmap", "media-type": media_types.NETWORK_MAP},
        "numerical-routing-cost-map": {
            "uri": "http://alto.example.com/costmap/num/routingcost",
            "media-type": media_types.COST_MAP,
            "capabilities": {"cost-type-names": ["num-routing"]},
            "uses": [MAP],
        },
        "numerical-hopcount-cost-map": {
            "uri": "http://alto.example.com/costmap/num/hopcount",
            "media-type": media_types.COST_MAP,
            "capabilities": {"cost-type-names": ["num-hop"]},
            "uses": [MAP],
        },
        "custom-maps-resources": {
            "uri": "http://custom.alto.example.com/maps",
            "media-type": media_types.DIRECTORY,
        },
        "endpoint-property": {
            "uri": "http://alto.example.com/endpointprop/lookup",
            "media-type": media_types.ENDPOINT_PROPERTIES,
            "accepts": media_types.ENDPOINT_PROPERTY_PARAMS,
            "capabilities": {"prop-types": [f"{MAP}.pid", "priv:ietf-example-prop"]},
        },
        "endpoint-cost": {
            "uri": "http://alto.example.com/endpointcost/lookup",
            "media-type": media_types.ENDPOINT_COSTS,
            "accepts": media_types.ENDPOINT_COST_PARAMS,
            "capabilities": {"cost-constraints": True, "cost-type-names": NAMES},
        },
    },
}
# Section 9.2.4.
CUSTOM: dict[str, Any] = {
    "meta": {"cost-types": COST_TYPES},
    "resources": {
        "filtered-network-map": {
            "uri": "http://custom.alto.example.com/networkmap/filtered",
            "media-type": media_types.NETWORK_MAP,
            "accepts": media_types.NETWORK_MAP_FILTER,
            "uses": [MAP],
        },
        "filtered-cost-map": {
            "uri": "http://custom.alto.example.com/costmap/filtered",
            "media-type": media_types.COST_MAP,
            "accepts": media_types.COST_MAP_FILTER,
            "capabilities": {"cost-constraints": True, "cost-type-names": NAMES},
            "uses": [MAP],
        },
        "ordinal-routing-cost-map": {
            "uri": "http://custom.alto.example.com/ord/routingcost",
            "media-type": media_types.COST_MAP,
            "capabilities": {"cost-type-names": ["ord-routing"]},
            "uses": [MAP],
        },
        "ordinal-hopcount-cost-map": {
            "uri": "http://custom.alto.example.com/ord/hopcount",
            "media-type": media_types.COST_MAP,
            "capabilities": {"cost-type-names": ["ord-hop"]},
            "uses": [MAP],
        },
    },
}
# Section 11.2.1.7.
PIDS: dict[str, dict[str, list[str]]] = {
    "PID1": {"ipv4": ["192.0.2.0/24", "198.51.100.0/25"]},
    "PID2": {"ipv4": ["198.51.100.128/25"]},
    "PID3": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]},
}
# Section 11.2.3.7.
COSTS = {
    "PID1": {"PID1": 1, "PID2": 5, "PID3": 10},
    "PID2": {"PID1": 5, "PID2": 1, "PID3": 15},
    "PID3": {"PID1": 20, "PID2": 15},
}


def directories() -> dict[str, Directory]:
    """Return the RFC's two directories by path."""
    return {"/directory": read_directory(ROOT), "/maps": read_directory(CUSTOM)}


def knowledge() -> Knowledge:
    """Return what the RFC's server knows."""
    known = Knowledge().with_network_map(NetworkMap(MAP, PIDS)).with_cost_map(MAP, ROUTING, COSTS)
    known = known.with_endpoint_property("priv:ietf-example-prop", {"ipv4:192.0.2.34": "1"})
    # Endpoints that are all in one PID, and yet are ranked (11.5.1.7).
    ranks = {"ipv4:192.0.2.89": 1, "ipv4:198.51.100.34": 2, "ipv4:203.0.113.45": 3}
    return known.with_endpoint_costs(
        CostType("routingcost", CostMode.ORDINAL),
        {("ipv4:192.0.2.2", address): rank for address, rank in ranks.items()},
    )


def service(known: Knowledge | None = None, capabilities: Mapping[str, Any] | None = None) -> Service:
    """Return the RFC's server, whose resources that take cost types have capabilities in place of the RFC's."""
    documents = json.loads(json.dumps([ROOT, CUSTOM]))
    if capabilities is not None:
        for document, name in ((documents[0], "endpoint-cost"), (documents[1], "filtered-cost-map")):
            document["resources"][name]["capabilities"] = dict(capabilities)
    paths = ("/directory", "/maps")
    return Service(
        knowledge() if known is None else known, dict(zip(paths, map(read_directory, documents), strict=True))
    )


def get(server: Service, path: str, **headers: str) -> Answer:
    """Ask for a resource."""
    return server.answer(Request("GET", path, _named(headers)))


def post(server: Service, path: str, body: object, client_address: str | None = None, **headers: str) -> Answer:
    """Send parameters, as the media type that is right for the path."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": PARAMETERS.get(path, ""), **_named(headers)}
    return server.answer(Request("POST", path, sent, octets, client_address))


def document(answer: Answer) -> Any:
    """Return what an answer says."""
    return json.loads(answer.body)


PARAMETERS = {
    "/networkmap/filtered": media_types.NETWORK_MAP_FILTER,
    "/costmap/filtered": media_types.COST_MAP_FILTER,
    "/endpointprop/lookup": media_types.ENDPOINT_PROPERTY_PARAMS,
    "/endpointcost/lookup": media_types.ENDPOINT_COST_PARAMS,
}


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
