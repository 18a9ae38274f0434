"""What a server knows of a network without measuring anything: its map, costs along the paths, properties.

`default` is the PID of all other addresses, from and to which no cost is defined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from testbed.alto.costs.cost_type import Cost, CostContext, CostType
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.network.facts import KnownNode, Link, NetworkFacts
from testbed.alto.service.knowledge import Knowledge

NETWORK_MAP, DEFAULT_PID = "net", "default"
PROPERTIES, NODE_PROPERTY = "properties", "priv:node"
_NOMINAL = CostContext("nominal")  # as configured, measured by nobody
ROUTING, HOPS, DELAY = (
    CostType("routingcost"),
    CostType("hopcount", context=_NOMINAL),
    CostType("delay-ow", context=_NOMINAL),
)
NOMINAL = (ROUTING, HOPS, DELAY)


def knowledge_of(network: NetworkFacts, cost_types: Iterable[CostType] = NOMINAL) -> Knowledge:
    """Return what there is to know of a network, with costs of some of the types in `NOMINAL`. Raises AltoDataError."""
    groups: dict[str, dict[str, list[str]]] = {node.pid: _group(node) for node in network.nodes}
    groups[DEFAULT_PID] = {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}
    known = Knowledge().with_network_map(NetworkMap(NETWORK_MAP, groups))
    costs = _costs(network)
    for cost_type in cost_types:
        known = known.with_cost_map(NETWORK_MAP, cost_type, costs[cost_type])
    values = {f"{NETWORK_MAP}.pid:{node.pid}": dict(node.properties) for node in network.nodes}
    return (
        known.with_property_map(PROPERTIES, values)
        .with_property_map(f"{PROPERTIES}-filtered", values)
        .with_endpoint_property(NODE_PROPERTY, network.endpoints)
    )


def _group(node: KnownNode) -> dict[str, list[str]]:
    group: dict[str, list[str]] = {}
    for prefix in node.prefixes:
        group.setdefault(f"ipv{prefix.version}", []).append(str(prefix))
    return group


def _costs(network: NetworkFacts) -> Mapping[CostType, dict[str, dict[str, Cost]]]:
    """Return routing costs, hops and one-way delays in microseconds (RFC 9439, section 4.1), by PIDs."""
    found: dict[CostType, dict[str, dict[str, Cost]]] = {cost_type: {} for cost_type in NOMINAL}
    for source, destination in network.pairs():
        path = network.path(source, destination)
        ends = network.pids[source], network.pids[destination]
        for cost_type, cost in zip(NOMINAL, _path_costs(network, path), strict=True):
            found[cost_type].setdefault(ends[0], {})[ends[1]] = cost
    return found


def _path_costs(network: NetworkFacts, path: tuple[Link, ...]) -> tuple[Cost, Cost, Cost]:
    hops = len(path)
    delay_us = round(sum(network.by_link[link].delay_ms * 1000 for link in path), 3)
    # What paths are chosen by: delay, then hops.
    return round(delay_us / 1000 + hops / 1000, 6), hops, delay_us
