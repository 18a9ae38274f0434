"""Property maps: the examples of RFC 9240 (as in its drafts), inheritance, domains, errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.alto import media_types
from testbed.alto.client import answers, requests
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.closure import Resource
from testbed.alto.directory.reading import read_directory
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.entities import entity
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.maps.property_map import PropertyMap
from testbed.alto.service.exchange import Answer
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from tests.alto_samples import document, get, post

MAP, OTHER = "default-network-map", "alt-network-map"
EVERYTHING = {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}
PIDS = {
    "defaultpid": EVERYTHING,
    "pid1": {"ipv4": ["192.0.2.0/25"]},
    "pid2": {"ipv4": ["192.0.2.0/27"]},
    "pid3": {"ipv4": ["192.0.3.0/28"]},
    "pid4": {"ipv4": ["192.0.3.16/28"]},
}
OTHER_PIDS = {"defaultpid": EVERYTHING, "pid1": {"ipv4": ["192.0.2.0/27"]}, "pid2": {"ipv4": ["192.0.3.0/27"]}}
# "Example Property Values for Internet Address Domains".
VALUES: dict[str, dict[str, Any]] = {
    "ipv4:192.0.2.0/23": {".ISP": "BitsRus", ".country": "us"},
    "ipv4:192.0.2.0/28": {".ASN": "12345", ".state": "NJ"},
    "ipv4:192.0.2.16/28": {".ASN": "12345", ".state": "CT"},
    "ipv4:192.0.2.1": {".state": "PA"},
    "ipv4:192.0.3.0/28": {".ASN": "12346", ".state": "TX"},
    "ipv4:192.0.3.16/28": {".ASN": "12346", ".state": "MN"},
}
REGIONS = {f"{MAP}.pid:pid1": {".region": "us-west"}, f"{MAP}.pid:pid2": {".region": "us-east"}}
LOOKUP = {"accepts": media_types.PROPERTY_MAP_PARAMS, "media-type": media_types.PROPERTY_MAP}
BOTH = ["ipv4", "ipv6"]
DIRECTORY: dict[str, Any] = {
    "meta": {
        "default-alto-network-map": MAP,
        "cost-types": {"r": {"cost-mode": "numerical", "cost-metric": "routingcost"}},
    },
    "resources": {
        MAP: {"uri": "/map", "media-type": media_types.NETWORK_MAP},
        OTHER: {"uri": "/other", "media-type": media_types.NETWORK_MAP},
        "costs": {
            "uri": "/costs",
            "media-type": media_types.COST_MAP,
            "uses": [MAP],
            "capabilities": {"cost-type-names": ["r"]},
        },
        "full": {
            "uri": "/propmap/full/inet-ia",
            "media-type": media_types.PROPERTY_MAP,
            "uses": [MAP, OTHER],
            "capabilities": {"mappings": {kind: [".ISP", ".ASN"] for kind in BOTH}},
        },
        "inet": {
            **LOOKUP,
            "uri": "/propmap/lookup/inet-iacs",
            "uses": [MAP, OTHER],
            "capabilities": {"mappings": {kind: [".ISP", ".ASN", ".country", ".state"] for kind in BOTH}},
        },
        "region": {
            **LOOKUP,
            "uri": "/propmap/lookup/region",
            "uses": [MAP, OTHER],
            "capabilities": {"mappings": {f"{MAP}.pid": [".region"], f"{OTHER}.pid": [".ASN"]}},
        },
        "pids": {
            **LOOKUP,
            "uri": "/propmap/lookup/pid",
            "uses": [MAP, OTHER],
            "capabilities": {"mappings": {kind: [f"{MAP}.pid", f"{OTHER}.pid"] for kind in BOTH}},
        },
        "ane": {**LOOKUP, "uri": "/propmap/lookup/ane", "capabilities": {"mappings": {".ane": [".cpu"]}}},
        "legacy": {
            "uri": "/eps",
            "media-type": media_types.ENDPOINT_PROPERTIES,
            "accepts": media_types.ENDPOINT_PROPERTY_PARAMS,
            "capabilities": {"prop-types": [f"{MAP}.pid", f"{OTHER}.pid"]},
        },
    },
}


def server() -> Service:
    known = Knowledge().with_network_map(NetworkMap(MAP, PIDS)).with_network_map(NetworkMap(OTHER, OTHER_PIDS))
    for name in ("full", "inet"):
        known = known.with_property_map(name, VALUES)
    known = known.with_property_map("region", REGIONS).with_property_map("ane", {".ane:dc45.srv9": {".cpu": "20"}})
    return Service(known, {"/directory": read_directory(DIRECTORY)})


def looked_up(path: str, entities: list[str], properties: list[str]) -> Any:
    body = {"entities": entities, "properties": properties}
    answer = post(server(), f"/propmap/lookup/{path}", body, Content_Type=media_types.PROPERTY_MAP_PARAMS)
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.PROPERTY_MAP), answer
    return document(answer)


def vtags(*names: str) -> list[dict[str, str]]:
    return [server().knowledge.network_maps[name].vtag.document() for name in names]


def test_a_whole_property_map_has_what_is_defined_and_not_what_is_inherited() -> None:
    answer = get(server(), "/propmap/full/inet-ia")
    assert document(answer) == {
        "meta": {"dependent-vtags": vtags(MAP, OTHER)},
        "property-map": {
            "ipv4:192.0.2.0/23": {".ISP": "BitsRus"},
            "ipv4:192.0.2.0/28": {".ASN": "12345"},
            "ipv4:192.0.2.16/28": {".ASN": "12345"},
            "ipv4:192.0.3.0/28": {".ASN": "12346"},
            "ipv4:192.0.3.16/28": {".ASN": "12346"},
        },
    }
    assert get(server(), "/propmap/full/inet-ia", If_None_Match=answer.headers["ETag"]).status == 304


def test_example_1_addresses_have_what_they_inherit() -> None:
    entities = ["ipv4:192.0.2.0", "ipv4:192.0.2.1", "ipv4:192.0.2.17"]
    assert looked_up("inet-iacs", entities, [".ISP", ".ASN", ".state"]) == {
        "meta": {"dependent-vtags": vtags(MAP, OTHER)},
        "property-map": {
            "ipv4:192.0.2.0": {".ISP": "BitsRus", ".ASN": "12345", ".state": "NJ"},
            "ipv4:192.0.2.1": {".ISP": "BitsRus", ".ASN": "12345", ".state": "PA"},
            "ipv4:192.0.2.17": {".ISP": "BitsRus", ".ASN": "12345", ".state": "CT"},
        },
    }


def test_example_2_prefixes_come_with_those_in_them_that_differ() -> None:
    entities = ["ipv4:192.0.2.0/26", "ipv4:192.0.3.0/26", "ipv4:192.0.4.0/26"]
    assert looked_up("inet-iacs", entities, [".ASN", ".country", ".state"])["property-map"] == {
        "ipv4:192.0.2.0/26": {".country": "us"},
        "ipv4:192.0.2.0/28": {".ASN": "12345", ".state": "NJ"},
        "ipv4:192.0.2.1": {".state": "PA"},
        "ipv4:192.0.2.16/28": {".ASN": "12345", ".state": "CT"},
        "ipv4:192.0.3.0/26": {".country": "us"},
        "ipv4:192.0.3.0/28": {".ASN": "12346", ".state": "TX"},
        "ipv4:192.0.3.16/28": {".ASN": "12346", ".state": "MN"},
    }


def test_example_3_the_pids_of_prefixes_are_those_of_the_network_maps() -> None:
    entities = ["ipv4:192.0.2.128", "ipv4:192.0.2.0/27", "ipv4:192.0.3.0/27"]
    assert looked_up("pid", entities, [f"{MAP}.pid", f"{OTHER}.pid"]) == {
        "meta": {"dependent-vtags": vtags(MAP, OTHER)},
        "property-map": {
            "ipv4:192.0.2.128": {f"{MAP}.pid": "defaultpid", f"{OTHER}.pid": "defaultpid"},
            "ipv4:192.0.2.0/27": {f"{MAP}.pid": "pid2", f"{OTHER}.pid": "pid1"},
            "ipv4:192.0.3.0/28": {f"{MAP}.pid": "pid3", f"{OTHER}.pid": "pid2"},
            "ipv4:192.0.3.16/28": {f"{MAP}.pid": "pid4", f"{OTHER}.pid": "pid2"},
        },
    }


def test_example_4_properties_of_pids_depend_on_their_map_alone() -> None:
    assert looked_up("region", [f"{MAP}.pid:pid1", f"{MAP}.pid:pid2", f"{MAP}.pid:pid3"], [".region"]) == {
        "meta": {"dependent-vtags": vtags(MAP)},
        "property-map": REGIONS,
    }


def test_entities_of_the_property_map_s_own_domain_depend_on_nothing() -> None:
    assert looked_up("ane", [".ane:dc45.srv9", ".ane:dc21"], [".cpu"]) == {
        "meta": {},
        "property-map": {".ane:dc45.srv9": {".cpu": "20"}},
    }


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("192.0.2.0", "v4"), ("192.0.2.1", "v3"), ("192.0.2.16", "v1"), ("192.0.2.32", "v1"), ("192.0.2.64", None),
        ("192.0.2.0/32", "v4"), ("192.0.2.0/31", "v3"), ("192.0.2.0/29", "v2"), ("192.0.2.0/27", "v1"),
        ("192.0.2.0/25", None),
    ],
)  # fmt: skip
def test_the_longest_prefix_around_is_inherited_from(address: str, value: str | None) -> None:
    """The table "Inherited Property Values"."""
    known = {"26": "v1", "28": "v2", "30": "v3", "32": "v4"}
    property_map = PropertyMap("p", {f"ipv4:192.0.2.0/{length}": {".P": text} for length, text in known.items()})
    wanted = entity(f"ipv4:{address}")
    assert wanted is not None and wanted.prefix is not None
    found = property_map.table("ipv4", ".P").covering(wanted.prefix)
    assert (found and found[0]) == value


def test_null_says_that_there_is_no_value_and_ends_the_inheritance() -> None:
    known = server().knowledge.with_property_map("inet", {**VALUES, "ipv4:192.0.2.128/25": {".ISP": None}})
    fed = server()
    fed.update(known)
    body = {"entities": ["ipv4:192.0.2.129", "ipv4:192.0.2.1"], "properties": [".ISP"]}
    answer = post(fed, "/propmap/lookup/inet-iacs", body, Content_Type=media_types.PROPERTY_MAP_PARAMS)
    assert document(answer)["property-map"] == {
        "ipv4:192.0.2.129": {".ISP": None},
        "ipv4:192.0.2.1": {".ISP": "BitsRus"},
    }


@pytest.mark.parametrize(
    ("path", "body", "field", "value"),
    [
        ("inet-iacs", {"entities": ["mac:1"], "properties": [".ISP"]}, "entities", "mac:1"),
        ("inet-iacs", {"entities": ["ipv4:192.0.2.256"], "properties": [".ISP"]}, "entities", "ipv4:192.0.2.256"),
        ("inet-iacs", {"entities": ["ipv4:192.0.2.1/24"], "properties": [".ISP"]}, "entities", "ipv4:192.0.2.1/24"),
        ("inet-iacs", {"entities": ["ipv4"], "properties": [".ISP"]}, "entities", "ipv4"),
        ("inet-iacs", {"entities": [5], "properties": [".ISP"]}, "entities", "5"),
        ("inet-iacs", {"entities": [], "properties": [".ISP"]}, "entities", "[]"),
        ("region", {"entities": [f"{MAP}.pid:pid 1"], "properties": [".region"]}, "entities", f"{MAP}.pid:pid 1"),
        ("region", {"entities": ["other.pid:pid1"], "properties": [".region"]}, "entities", "other.pid:pid1"),
        ("inet-iacs", {"entities": ["ipv4:192.0.2.1"], "properties": [".region"]}, "properties", ".region"),
    ],
)
def test_an_entity_or_property_that_is_not_offered_is_refused(path: str, body: object, field: str, value: str) -> None:
    answer = post(server(), f"/propmap/lookup/{path}", body, Content_Type=media_types.PROPERTY_MAP_PARAMS)
    meta = {"code": "E_INVALID_FIELD_VALUE", "field": field, "value": value}
    assert (answer.status, document(answer)) == (400, {"meta": meta})


def test_an_entity_twice_is_one_and_one_in_two_spellings_comes_in_both() -> None:
    spelled = ["ipv6:2001:db8::1", "ipv6:2001:db8:0::1", "ipv6:2001:db8::1"]
    answer = looked_up("pid", spelled, [f"{MAP}.pid"])
    assert answer["property-map"] == {name: {f"{MAP}.pid": "defaultpid"} for name in spelled[:2]}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"ipv4:x": {}}, "p: 'ipv4:x' is no entity"),
        ({"pid1": {".a": "b"}}, "'pid1' is no entity"),
        ({"ipv4:192.0.2.1": {"a b": "c"}}, "'a b' is no name of a property"),
    ],
)
def test_what_cannot_be_in_a_property_map_is_refused_by_name(values: Any, reason: str) -> None:
    with pytest.raises(AltoDataError, match=reason):
        Knowledge().with_property_map("p", values)


def test_the_tag_of_a_property_map_changes_with_its_content() -> None:
    contents: list[Any] = [
        VALUES,
        {},
        {"ipv4:192.0.2.1": {".a": "b"}},
        {"ipv4:192.0.2.1": {".a": None}},
        {"m.pid:P": {".a": "b"}},
    ]
    assert len({PropertyMap("p", content).tag for content in contents}) == len(contents)
    aliases = [PropertyMap("p", {f"ipv4:192.0.2.1{length}": {".a": "b"}}).tag for length in ("", "/32")]
    assert aliases[0] == aliases[1]


def test_a_client_asks_for_what_is_offered_and_reads_strings_and_null() -> None:
    resource = Resource(read_directory(DIRECTORY).by_id["inet"], "http://x/propmap/lookup/inet-iacs")
    answer = server().answer(requests.filtered_property_map(resource, [".ISP"], ["ipv4:192.0.2.1"]))
    properties = answers.property_map("u", answer)
    assert properties.values == {"ipv4:192.0.2.1": {".ISP": "BitsRus"}}
    assert [vtag.resource_id for vtag in properties.dependent_vtags] == [MAP, OTHER]
    with pytest.raises(AltoDataError, match=r"inet does not offer \.region"):
        requests.filtered_property_map(resource, [".region"], ["ipv4:192.0.2.1"])
    octets = json.dumps({"meta": {}, "property-map": {"a:b": {".c": 5}}}).encode()
    with pytest.raises(AltoAnswerError, match=r"property-map/a:b/\.c is not a string"):
        answers.property_map("u", Answer(200, {"Content-Type": media_types.PROPERTY_MAP}, octets))
