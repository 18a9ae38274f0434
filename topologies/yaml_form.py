"""Networks as YAML: `parse` and `dump`.

Owns the form and the wording of its errors:

    name: two-sites
    nodes:
      - core                                   # a router
      - {name: edge, role: d_router, latitude: 52.5, longitude: 13.4}
    links:
      - {a: core, b: edge, delay_ms: 5, rate_mbps: 100}
    demands:
      - {from: core, to: edge, demand: 3}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from testbed import yaml_documents
from testbed.yaml_documents import YamlError
from topologies.roles import ROUTER
from topologies.roles import known as known_roles
from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError, unknown_name

_TOP = ("name", "nodes", "links", "demands")
_NODE = ("name", "role", "latitude", "longitude")
_SPEC = tuple(item.name for item in fields(LinkSpec))
_LINK = ("a", "b", *_SPEC)
_DEMAND = ("from", "to", "demand")


def read(path: Path) -> Topology:
    """Return the network in a file. Raises TopologyError with file and key."""
    try:
        document = yaml_documents.read(path)
    except OSError as error:
        raise TopologyError(f"{path}: {error.strerror or error}; is the path right?") from error
    except YamlError as error:
        raise TopologyError(str(error)) from error
    return _checked(document, str(path))


def parse(text: str, source: str) -> Topology:
    """Return the network in a text; `source` names it in errors. Raises TopologyError with file and key."""
    try:
        document = yaml_documents.parse(text, source)
    except YamlError as error:
        raise TopologyError(str(error)) from error
    return _checked(document, source)


def _checked(document: Any, source: str) -> Topology:
    try:
        return _topology(document)
    except TopologyError as error:
        raise TopologyError(f"{source}: {error}") from error


def dump(topology: Topology) -> str:
    """Write a network; what stands at its default is left out."""
    plain = asdict(LinkSpec())
    document: dict[str, Any] = {
        "name": topology.name,
        "nodes": [
            {
                "name": node.name,
                "role": node.role.name,
                **({} if node.latitude is None else {"latitude": node.latitude}),
                **({} if node.longitude is None else {"longitude": node.longitude}),
            }
            for node in topology.nodes
        ],
        "links": [
            {"a": link.a, "b": link.b, **{k: v for k, v in asdict(link.spec).items() if v != plain[k]}}
            for link in topology.links
        ],
    }
    if topology.demands:
        document["demands"] = [{"from": a, "to": b, "demand": demand} for (a, b), demand in topology.demands.items()]
    return yaml_documents.dump(document)


def _topology(document: Any) -> Topology:
    top = _mapping(document, "", _TOP)
    nodes = tuple(_node(item, f"nodes[{number}]") for number, item in enumerate(_list(top, "nodes")))
    links = tuple(_link(item, f"links[{number}]") for number, item in enumerate(_list(top, "links")))
    names = {node.name for node in nodes}
    demands: dict[tuple[str, str], float] = {}
    for number, item in enumerate(_list(top, "demands")):
        place = f"demands[{number}]"
        keys = _mapping(item, place, _DEMAND)
        ends = (_text(keys, "from", place), _text(keys, "to", place))
        for end in ends:
            if end not in names:
                raise unknown_name(f"{place}: there is no node", end, names)
        if ends in demands:
            raise TopologyError(f"{place}: there is one from {ends[0]!r} to {ends[1]!r} already; add them up")
        demands[ends] = _number(keys.get("demand"), f"{place}.demand")
    return Topology(_text(top, "name", ""), nodes, links, demands)


def _node(item: Any, place: str) -> Node:
    if isinstance(item, str):
        return Node(item)
    if isinstance(item, int | float):
        raise _no_name(place, item)
    keys = _mapping(item, place, _NODE)
    role = keys.get("role", ROUTER.name)
    roles = {known.name: known for known in known_roles()}
    if not isinstance(role, str) or role not in roles:
        raise TopologyError(f"{place}.role: {role!r} is none of {', '.join(roles)}")
    degrees = {
        key: _number(keys[key], f"{place}.{key}") for key in ("latitude", "longitude") if keys.get(key) is not None
    }
    name = _text(keys, "name", place)
    try:
        return Node(name, roles[role], **degrees)
    except TopologyError as error:
        raise TopologyError(f"{place}: {error}") from error


def _link(item: Any, place: str) -> Link:
    keys = _mapping(item, place, _LINK)
    fields: dict[str, Any] = {}
    for key in _SPEC:
        if key in keys and not (key == "rate_mbps" and keys[key] is None):
            value = _number(keys[key], f"{place}.{key}")
            if key == "queue_packets" and value != int(value):
                raise TopologyError(f"{place}.{key}: must be a whole number, not {value}")
            fields[key] = int(value) if key == "queue_packets" else value
    try:
        spec = LinkSpec(**fields)
    except TopologyError as error:
        raise TopologyError(f"{place}: {error}") from error
    return Link(_text(keys, "a", place), _text(keys, "b", place), spec)


def _mapping(item: Any, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise TopologyError(f"{place or 'file'}: must hold the keys {', '.join(known)}")
    for key in item:
        if key not in known:
            name = " ".join(str(key).split())
            raise unknown_name(f"{place + '.' if place else ''}{name}: unknown key", name, known)
    return item


def _list(keys: Mapping[str, Any], key: str) -> list[Any]:
    value = keys.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise TopologyError(f"{key}: must be a list")
    return value


def _text(keys: Mapping[str, Any], key: str, place: str) -> str:
    value = keys.get(key)
    where = f"{place}.{key}" if place else key
    if value is None or value == "":
        raise TopologyError(f"{where}: is missing")
    if not isinstance(value, str):
        raise _no_name(where, value)
    return value


def _no_name(place: str, value: Any) -> TopologyError:
    return TopologyError(f"{place}: must be a name, not {value!r}; put it in quotes")


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TopologyError(f"{place}: must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise TopologyError(f"{place}: must be a finite number, not {number}")
    return number
