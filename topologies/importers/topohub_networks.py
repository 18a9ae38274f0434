"""Topology Zoo and SNDlib networks, as the `topohub` package carries them.

Owns the translation: link delay from the length of the link (or the great circle between its ends, where
no length is stated), duplicate names made unique, parallel links merged, loops dropped.
"""

from __future__ import annotations

import importlib.resources
import math
from collections import Counter
from typing import Any

import topohub

from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError, unknown_name

GROUPS = ("topozoo", "sndlib")
FIBRE_KM_PER_MS = 200.0  # two thirds of the speed of light
UNKNOWN_LENGTH_KM = 100.0  # a link of which neither length nor ends are known
_EARTH_RADIUS_KM = 6371.0


def names(group: str) -> list[str]:
    """Return the networks of a group, as `group/Name`."""
    folder = importlib.resources.files(topohub) / "data" / group
    return sorted(
        f"{group}/{item.name.removesuffix('.json')}" for item in folder.iterdir() if item.name.endswith(".json")
    )


def load(name: str, rate_mbps: float | None = None) -> Topology:
    """Return a network by `group/Name`, whatever the case. Raises TopologyError."""
    group = name.partition("/")[0].lower()
    known = {item.lower(): item for item in names(group)}
    if name.lower() not in known:
        raise unknown_name("there is no topology", name, known.values())
    document = topohub.get(known[name.lower()])
    labels = _unique_labels(document["nodes"])
    positions = {item["id"]: item.get("pos") for item in document["nodes"]}
    nodes = tuple(
        Node(label, longitude=_coordinate(positions[key], 0), latitude=_coordinate(positions[key], 1))
        for key, label in labels.items()
    )
    spans: dict[tuple[Any, Any], float] = {}
    for edge in document["edges"]:
        a, b = edge["source"], edge["target"]
        if a != b:
            pair = (a, b) if (b, a) not in spans else (b, a)
            spans[pair] = min(_length_km(edge, positions[a], positions[b]), spans.get(pair, math.inf))
    links = tuple(
        Link(labels[a], labels[b], LinkSpec(delay_ms=round(km / FIBRE_KM_PER_MS, 3), rate_mbps=rate_mbps))
        for (a, b), km in spans.items()
    )
    return Topology(known[name.lower()], nodes, links, _demands(document, labels))


def _unique_labels(nodes: list[dict[str, Any]]) -> dict[Any, str]:
    named = [(item["id"], str(item.get("name") or "").strip() or f"node {item['id']}") for item in nodes]
    counts = Counter(label for _, label in named)
    taken = {label for label, count in counts.items() if count == 1}
    labels: dict[Any, str] = {}
    for key, label in named:
        unique, number = label, 1
        while counts[label] > 1 and unique in taken | {label}:
            unique, number = f"{label} {number}", number + 1
        taken.add(unique)
        labels[key] = unique
    return labels


def _coordinate(position: Any, axis: int) -> float | None:
    return float(position[axis]) if position else None


def _length_km(edge: dict[str, Any], a: Any, b: Any) -> float:
    if edge.get("dist"):
        return float(edge["dist"])
    return great_circle_km(a[1], a[0], b[1], b[0]) if a and b else UNKNOWN_LENGTH_KM


def great_circle_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Return the distance over ground between two places, degrees in, by the haversine formula."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    across = math.sin((phi_b - phi_a) / 2) ** 2
    along = math.sin(math.radians(longitude_b - longitude_a) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(across + math.cos(phi_a) * math.cos(phi_b) * along))


def _demands(document: dict[str, Any], labels: dict[Any, str]) -> dict[tuple[str, str], float]:
    by_text = {str(key): label for key, label in labels.items()}
    try:
        return {
            (by_text[str(a)], by_text[str(b)]): float(demand)
            for a, targets in document["graph"].get("demands", {}).items()
            for b, demand in targets.items()
        }
    except KeyError as error:
        raise TopologyError(
            f"{document['graph'].get('name')}: a demand names node {error}, which does not exist"
        ) from error
