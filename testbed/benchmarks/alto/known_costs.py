"""A network of so many PIDs with costs between all of them: what an ALTO server of a large network knows. Pure."""

from __future__ import annotations

import random

from testbed.alto.costs.cost_type import CostType
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.network.static_knowledge import DEFAULT_PID, NETWORK_MAP
from testbed.alto.service.knowledge import Knowledge

COST_TYPE = CostType("routingcost")
MAP_ID, MAP_PATH = "routingcost-numerical", "/costs/routingcost-numerical"
_DEAREST = 10_000


def knowledge(pids: int) -> Knowledge:
    """Return what is known of a network of so many PIDs, a prefix each."""
    groups = {_pid(number): {"ipv4": [f"10.{number >> 8}.{number & 255}.0/24"]} for number in range(pids)}
    groups[DEFAULT_PID] = {"ipv4": ["0.0.0.0/0"]}
    known = Knowledge().with_network_map(NetworkMap(NETWORK_MAP, groups))
    rng = random.Random(1)
    names = [_pid(number) for number in range(pids)]
    costs = {source: {destination: rng.randrange(1, _DEAREST) for destination in names} for source in names}
    return known.with_cost_map(NETWORK_MAP, COST_TYPE, costs)


def changed(known: Knowledge, number: int) -> Knowledge:
    """Return what is known once the cost of one pair, another for each number, is one that no pair had before."""
    pids = len(known.network_maps[NETWORK_MAP].pids) - 1
    source, destination = _pid(7 * number % pids), _pid(13 * number % pids)
    return known.with_cost(NETWORK_MAP, COST_TYPE, source, destination, _DEAREST + number)


def endpoints(pids: int, count: int) -> list[str]:
    """Return addresses of so many endpoints, all over the network."""
    numbers = (number * pids // count for number in range(count))
    return [f"ipv4:10.{number >> 8}.{number & 255}.{1 + number % 250}" for number in numbers]


def _pid(number: int) -> str:
    return f"pid-{number:04}"
