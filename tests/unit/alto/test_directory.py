"""Directories: what those of a server must be, and documents that are none (RFC 7285, sections 8.3.1 and 9.2)."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from testbed.alto import media_types
from testbed.alto.directory.reading import read_directory
from testbed.alto.errors import AltoDataError
from testbed.alto.service.exchange import Request
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from tests.alto_samples import CUSTOM, MAP, PIDS, ROOT, document, get, knowledge, post

TYPES = "root meta cost-types"
GONE = object()


def edited(edits: dict[str, Any]) -> dict[str, Any]:
    """Return the RFC's directories with values at some paths replaced, or gone."""
    documents = deepcopy({"root": ROOT, "custom": CUSTOM})
    for path, value in edits.items():
        *above, last = path.split()
        place: Any = documents
        for name in above:
            place = place[name]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return documents


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ({f"root resources {MAP}": GONE}, "there is no network map"),
        ({"root meta default-alto-network-map": GONE}, "the default network map None is none of"),
        ({f"custom resources {MAP}": ROOT["resources"][MAP]}, f"{MAP} is the ID of 2 resources"),
        ({"root resources endpoint-property": GONE}, f"offers {MAP}.pid"),
        ({"root resources endpoint-cost uses": [MAP]}, "endpoint-cost: the endpoint cost service uses no resource"),
        (
            {"root resources numerical-hopcount-cost-map capabilities cost-type-names": ["num-routing"]},
            "numerical-routing-cost-map and numerical-hopcount-cost-map are one cost map",
        ),
        (
            {"root resources numerical-routing-cost-map capabilities cost-type-names": ["num-hop", "num-routing"]},
            "a full cost map has one cost type",
        ),
        ({"custom resources filtered-cost-map uses": GONE}, "a cost map uses one network map"),
        ({"custom resources filtered-network-map uses": ["endpoint-cost"]}, "a filtered network map uses one"),
        ({f"{TYPES} num-hop": GONE}, "does not say which cost type 'num-hop' is"),
        ({f"{TYPES} num-hop cost-metric": "air-miles"}, "'air-miles' is not registered"),
        ({"root resources endpoint-cost capabilities": GONE}, "it offers no cost type"),
        (
            {"root resources endpoint-property capabilities prop-types": [f"{MAP}.pid", "other.pid"]},
            r"the property other\.pid depends on no network map of this server",
        ),
        (
            {"root resources endpoint-property capabilities prop-types": [f"{MAP}.pid", "colour"]},
            "the property colour is neither that of a resource nor private",
        ),
        (
            {
                "root resources numerical-routing-cost-map": GONE,
                "custom resources ordinal-routing-cost-map": GONE,
            },
            "there is no full cost map of the metric routingcost",
        ),
        (
            {
                "root resources endpoint-cost capabilities cost-type-names": ["num-hop"],
                "root resources endpoint-cost capabilities testable-cost-type-names": ["num-routing"],
            },
            "what constraints test is among",
        ),
        (
            {
                "root resources numerical-hopcount-cost-map": GONE,
                f"{TYPES} num-hop": {
                    "cost-metric": "routingcost",
                    "cost-mode": "numerical",
                    "cost-context": {"cost-source": "estimation"},
                },
            },
            "endpoint-cost: two of its cost types differ in their context alone",
        ),
    ],
)
def test_directories_that_are_those_of_no_server_are_refused(edits: dict[str, Any], reason: str) -> None:
    documents = edited(edits)
    with pytest.raises(AltoDataError, match=reason):
        Service(
            knowledge(), {"/directory": read_directory(documents["root"]), "/maps": read_directory(documents["custom"])}
        )


def test_a_server_without_routing_costs_is_none() -> None:
    text = json.dumps([ROOT, CUSTOM]).replace('"routingcost"', '"delay-ow"')
    directories = dict(zip(("/directory", "/maps"), map(read_directory, json.loads(text)), strict=True))
    with pytest.raises(AltoDataError, match="there is no full cost map of the metric routingcost"):
        Service(Knowledge(), directories)


def test_a_relative_uri_is_resolved_against_that_of_its_directory() -> None:
    root = deepcopy(ROOT)
    root["resources"][MAP]["uri"] = "maps/network"
    server = Service(knowledge(), {"/alto/directory": read_directory(root), "/maps": read_directory(CUSTOM)})
    assert get(server, "/alto/maps/network").status == 200


def test_one_uri_has_get_and_post_by_two_entries() -> None:
    root, custom = deepcopy(ROOT), deepcopy(CUSTOM)
    custom["resources"]["filtered-network-map"]["uri"] = root["resources"][MAP]["uri"]
    server = Service(knowledge(), {"/directory": read_directory(root), "/maps": read_directory(custom)})
    assert document(get(server, "/networkmap"))["network-map"] == PIDS
    answer = post(server, "/networkmap", {"pids": ["PID2"]}, Content_Type=media_types.NETWORK_MAP_FILTER)
    assert document(answer)["network-map"] == {"PID2": PIDS["PID2"]}
    assert server.answer(Request("OPTIONS", "/networkmap")).headers["Allow"] == "GET, HEAD, POST, OPTIONS"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "the directory is not an object"),
        ({}, "resources is missing"),
        ({"resources": {"a b": {}}}, "'a b' is no resource ID"),
        ({"resources": {"a": {}}}, "resources/a/uri is missing"),
        ({"resources": {"a": {"uri": "/a", "media-type": 5}}}, "resources/a/media-type is not a string"),
        ({"resources": {"a": {"uri": "/a", "media-type": "x/y", "uses": "b"}}}, "resources/a/uses is not an array"),
        (
            {"resources": {"a": {"uri": "/a", "media-type": "x/y", "capabilities": {"cost-type-names": [5]}}}},
            "resources/a/capabilities/cost-type-names is not a string",
        ),
        ({"resources": {}, "meta": {"cost-types": {"x": {}}}}, "meta/cost-types/x/cost-metric is missing"),
        (
            {"resources": {}, "meta": {"cost-types": {"x": {"cost-metric": "a", "cost-mode": "b"}}}},
            "meta/cost-types/x: 'b' is no cost mode",
        ),
    ],
)
def test_a_document_that_is_no_directory_is_refused_by_the_path_of_the_field(document: object, reason: str) -> None:
    with pytest.raises(AltoDataError, match=reason):
        read_directory(document)
