"""Topology Zoo and SNDlib networks, as the `topohub` package carries them.

Owns the translation: link delay from the length of the link (or the great circle between its ends, where
no length is stated) in fibre, to the microsecond; duplicate names made unique, parallel links merged into the
shortest, loops dropped. Rates stay unset: what the sources call capacity is no bit rate that one host could carry.
"""

from __future__ import annotations

import importlib.resources
import math
from collections import Counter
from collections.abc import Collection
from typing import Any

import topohub

from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError

FIBRE_KM_PER_MS = 200.0  # two thirds of the speed of light
UNKNOWN_LENGTH_KM = 100.0  # a link of which neither length nor ends are known
DRAWING_EXTENT_KM = 1000.0  # the longer side of a network whose coordinates are those of a drawing
_EARTH_RADIUS_KM = 6371.0

Position = tuple[float, float]


def names(group: str) -> list[str]:
    """Return the networks of a group, as `group/Name`."""
    folder = importlib.resources.files(topohub) / "data" / group
    return sorted(
        f"{group}/{item.name.removesuffix('.json')}" for item in folder.iterdir() if item.name.endswith(".json")
    )


def load(name: str) -> Topology:
    """Return a network by a name of `names`. Raises TopologyError."""
    return translate(name, topohub.get(name))


def translate(name: str, document: dict[str, Any]) -> Topology:
    """Return the network in a node-link document, positions as [longitude, latitude]. Raises TopologyError."""
    labels = _unique_labels(document["nodes"])
    positions = {item["id"]: tuple(item["pos"]) for item in document["nodes"] if item.get("pos")}
    drawing = _is_drawing(positions.values())
    places = {} if drawing else positions
    nodes = tuple(
        Node(label, longitude=float(places[key][0]), latitude=float(places[key][1])) if key in places else Node(label)
        for key, label in labels.items()
    )
    km_per_unit = _km_per_unit(positions.values()) if drawing else None
    spans: dict[tuple[Any, Any], float] = {}
    for edge in document["edges"]:
        a, b = edge["source"], edge["target"]
        if a != b:
            pair = (a, b) if (b, a) not in spans else (b, a)
            length_km = _length_km(edge, positions.get(a), positions.get(b), km_per_unit)
            spans[pair] = min(length_km, spans.get(pair, math.inf))
    links = tuple(
        Link(labels[a], labels[b], LinkSpec(delay_ms=round(km / FIBRE_KM_PER_MS, 3))) for (a, b), km in spans.items()
    )
    return Topology(name, nodes, links, _demands(name, document, labels))


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


def _is_drawing(positions: Collection[Position]) -> bool:
    """Distinguish pixels from degrees: a dozen SNDlib networks were drawn on a plane without any scale."""
    beyond_degrees = any(abs(longitude) > 180 or abs(latitude) > 90 for longitude, latitude in positions)
    whole_numbers = all(float(value).is_integer() for position in positions for value in position)
    return bool(positions) and (beyond_degrees or whole_numbers)


def _km_per_unit(positions: Collection[Position]) -> float:
    extent = max(max(axis) - min(axis) for axis in zip(*positions, strict=True))
    return DRAWING_EXTENT_KM / extent if extent else 0.0


def _length_km(edge: dict[str, Any], a: Position | None, b: Position | None, km_per_unit: float | None) -> float:
    if km_per_unit is not None:  # a stated length was reckoned from pixels taken for degrees
        return math.dist(a, b) * km_per_unit if a and b else UNKNOWN_LENGTH_KM
    if edge.get("dist"):
        return float(edge["dist"])
    return great_circle_km(a[1], a[0], b[1], b[0]) if a and b else UNKNOWN_LENGTH_KM


def great_circle_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Return the distance over ground between two places, degrees in, by the haversine formula."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    across = math.sin((phi_b - phi_a) / 2) ** 2
    along = math.sin(math.radians(longitude_b - longitude_a) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(across + math.cos(phi_a) * math.cos(phi_b) * along))


def _demands(name: str, document: dict[str, Any], labels: dict[Any, str]) -> dict[tuple[str, str], float]:
    by_text = {str(key): label for key, label in labels.items()}
    try:
        return {
            (by_text[str(a)], by_text[str(b)]): float(demand)
            for a, targets in document.get("graph", {}).get("demands", {}).items()
            for b, demand in targets.items()
        }
    except KeyError as error:
        raise TopologyError(f"topology {name!r}: a demand names node {error}, which does not exist") from error
