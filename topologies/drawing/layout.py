"""Where the nodes of a drawn network go: on the map where it is known, else by hop distance; hosts round their site.

Pure. Places are in inches. The same network always gets the same places.
"""

from __future__ import annotations

import math

import networkx as nx
import numpy as np

from topologies.roles import CLIENT, ROUTER, Kind
from topologies.spec import Node, Topology

Place = tuple[float, float]
Places = dict[str, Place]

_ROUTER_AREA, _SITE_AREA, _HOST_AREA = 1.3, 1.6, 0.45  # square inches of map that one more of a kind takes
_LEAST_AREA, _MOST_EXTENT = 34.0, 15.0
_INFRASTRUCTURE_LINK, _HOST_LINK = 1.5, 0.85  # lengths that a network without coordinates gets
_SITE_DISTANCE, _HOST_DISTANCE = 0.8, 0.6
_LEAST_DISTANCE = 0.3  # nodes of the same city are pushed apart this far
_NUDGE = 1e-3
_STRESS_ROUNDS, _SPREAD_ROUNDS = 300, 60


def layout(topology: Topology) -> Places:
    """Return a place in inches for every node."""
    infrastructure = [node for node in topology.nodes if not node.role.is_host]
    if any(node.latitude is None or node.longitude is None for node in infrastructure):
        return _by_hops(topology)
    shared = [node for node in infrastructure if node.role.kind is Kind.EDGE and _stands_on_neighbour(topology, node)]
    places = _on_map([node for node in infrastructure if node not in shared], _map_area(topology))
    for node in shared:
        places[node.name] = _beside(topology, node.name, places, _SITE_DISTANCE)
    for node in sorted((node for node in topology.nodes if node.role.is_host), key=_turn):
        places[node.name] = _beside(topology, node.name, places, _HOST_DISTANCE)
    return places


def _turn(host: Node) -> int:
    """Return when a host is placed: what others hang off first, then what serves, then clients."""
    role = host.role
    return 0 if role.kind is Kind.SWITCH else 1 if role.serves else 2 if role == CLIENT else 3


def _stands_on_neighbour(topology: Topology, node: Node) -> bool:
    neighbours = (topology.node(name) for name in topology.graph()[node.name])
    return any(
        peer.role == ROUTER and (peer.latitude, peer.longitude) == (node.latitude, node.longitude)
        for peer in neighbours
    )


def _map_area(topology: Topology) -> float:
    hosts = sum(node.role.is_host for node in topology.nodes)
    routers, sites = len(topology.with_role(ROUTER)), len(topology.of_kind(Kind.EDGE))
    return max(_LEAST_AREA, routers * _ROUTER_AREA + sites * _SITE_AREA + hosts * _HOST_AREA)


def _on_map(nodes: list[Node], area: float) -> Places:
    """Project to the plane, degrees of longitude shortened by the mean latitude."""
    degrees = np.array([(node.longitude or 0.0, node.latitude or 0.0) for node in nodes])
    plane = degrees * (math.cos(math.radians(degrees[:, 1].mean())), 1.0)
    width, height = (max(float(side), 1e-9) for side in np.ptp(plane, axis=0))
    # A map that is nearly a line would grow without end.
    scale = min(math.sqrt(area / (width * height)), _MOST_EXTENT / max(width, height))
    spread = _spread((plane - plane.mean(axis=0)) * scale)
    return {node.name: (float(x), float(y)) for node, (x, y) in zip(nodes, spread, strict=True)}


def _spread(points: np.ndarray) -> np.ndarray:
    """Push apart what lies on one spot, so that every node can be seen."""
    count = len(points)
    turns = np.arange(count) * math.pi * (3 - math.sqrt(5))  # the golden angle: no two ways out are alike
    points = points + _NUDGE * np.column_stack([np.cos(turns), np.sin(turns)])
    for _ in range(_SPREAD_ROUNDS):
        apart = points[:, None, :] - points[None, :, :]
        distance = np.linalg.norm(apart, axis=2) + np.eye(count)
        push = np.clip(_LEAST_DISTANCE - distance, 0.0, None) / distance / 2
        if not push.any():
            break
        points = points + (apart * push[:, :, None]).sum(axis=1)
    return points


def _by_hops(topology: Topology) -> Places:
    """Place nodes so that distances follow the lengths of the paths (stress majorisation), widest way across."""
    graph = nx.Graph()
    hosts = {node.name for node in topology.nodes if node.role.is_host}
    names = [node.name for node in topology.nodes]
    graph.add_nodes_from(names)
    for link in topology.links:
        graph.add_edge(link.a, link.b, length=_HOST_LINK if {link.a, link.b} & hosts else _INFRASTRUCTURE_LINK)
    lengths = dict(nx.all_pairs_dijkstra_path_length(graph, weight="length"))
    wanted = np.array([[lengths[a][b] for b in names] for a in names])
    points = _across(_least_stress(wanted))
    first = points[names.index(next((node.name for node in topology.with_role(CLIENT)), names[0]))]
    if first[0] > 0:  # clients to the left, as the drafts draw them
        points = points * (-1.0, 1.0)
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, points, strict=True)}


def _least_stress(wanted: np.ndarray) -> np.ndarray:
    count = len(wanted)
    if count == 1:
        return np.zeros((1, 2))
    weights = 1 / (wanted + np.eye(count)) ** 2 - np.eye(count)
    inverse = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights)
    turns = np.arange(count) * 2 * math.pi / count
    points: np.ndarray = np.column_stack([np.cos(turns), np.sin(turns)]) * wanted.max() / 2
    for _ in range(_STRESS_ROUNDS):
        distance = np.linalg.norm(points[:, None, :] - points[None, :, :], axis=2) + np.eye(count)
        pull = -weights * wanted / distance
        np.fill_diagonal(pull, 0.0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        points = inverse @ (pull @ points)
    return points


def _across(points: np.ndarray) -> np.ndarray:
    """Turn points so that their longest extent lies along x."""
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    turned: np.ndarray = centred @ axes[:, ::-1]
    return turned


def _beside(topology: Topology, name: str, places: Places, distance: float) -> Place:
    """Return the roomiest place round a node's neighbour, off nodes and links placed so far."""
    graph = topology.graph()
    anchor = next(peer for peer in graph[name] if peer in places)
    centre = np.array(places[anchor])
    nodes = np.array([place for other, place in places.items() if other != anchor]).reshape(-1, 2)
    links = [(places[a], places[b]) for a, b in graph.edges if a in places and b in places]
    slots = max(16, 2 * len(graph[anchor]))
    angles = np.arange(slots) * 2 * math.pi / slots
    rings = [centre + ring * distance * np.column_stack([np.cos(angles), np.sin(angles)]) for ring in (1.0, 1.35, 1.7)]
    candidates = np.concatenate(rings)
    from_nodes = np.linalg.norm(candidates[:, None, :] - nodes[None, :, :], axis=2).min(axis=1, initial=1.2)
    from_links = distances_to_segments(candidates, np.array(links).reshape(-1, 2, 2)).min(axis=1, initial=0.5)
    farther = np.repeat((0.0, 0.25, 0.5), slots)
    room = from_nodes + 2 * from_links - farther
    x, y = candidates[int(np.argmax(np.round(room, 6)))]
    return float(x), float(y)


def distances_to_segments(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Return how far each point (n, 2) is from each segment (m, 2, 2), as (n, m)."""
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    away = points[:, None, :] - start[None, :, :]
    share = np.clip((away * along).sum(axis=2) / squared, 0.0, 1.0)
    distances: np.ndarray = np.linalg.norm(away - share[:, :, None] * along, axis=2)
    return distances
