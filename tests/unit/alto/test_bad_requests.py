"""Requests that a server refuses: ALTO's errors with their fields (RFC 7285, section 8.5.2)."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.alto import media_types
from tests.alto_samples import MAP, document, post, service

ROUTING = {"cost-mode": "numerical", "cost-metric": "routingcost"}
FILTERED_MAP, FILTERED, PROPERTIES, COSTS = (
    "/networkmap/filtered", "/costmap/filtered", "/endpointprop/lookup", "/endpointcost/lookup",
)  # fmt: skip
HERE = {"srcs": ["ipv4:192.0.2.2"], "dsts": ["ipv4:192.0.2.89"]}
MISSING, TYPE, VALUE = "E_MISSING_FIELD", "E_INVALID_FIELD_TYPE", "E_INVALID_FIELD_VALUE"


def error(path: str, body: object) -> dict[str, str]:
    answer = post(service(), path, body)
    assert (answer.status, answer.headers["Content-Type"]) == (400, media_types.ERROR), answer
    meta: dict[str, str] = document(answer)["meta"]
    assert all(isinstance(text, str) for text in meta.values())
    assert "field" in meta or "value" not in meta
    return meta


@pytest.mark.parametrize("path", [FILTERED_MAP, FILTERED, PROPERTIES, COSTS])
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "line 1 column 1"),
        (b'{"pids": [', "line 1 column 11"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b"\xff{}", "utf-8"),
        (b'{"a": NaN}', "NaN"),
    ],
)
def test_a_body_that_is_no_json_is_a_syntax_error_that_says_where(path: str, octets: bytes, reason: str) -> None:
    meta = error(path, octets)
    assert meta["code"] == "E_SYNTAX" and reason in meta["syntax-error"]


@pytest.mark.parametrize("body", [[], "pids", 5, None])
def test_a_body_that_is_no_object_has_the_wrong_type(body: object) -> None:
    assert error(FILTERED_MAP, body) == {"code": TYPE}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (FILTERED_MAP, {}, "pids"),
        (FILTERED, {}, "cost-type"),
        (FILTERED, {"cost-type": {"cost-metric": "routingcost"}}, "cost-type/cost-mode"),
        (FILTERED, {"cost-type": ROUTING, "pids": {"srcs": []}}, "pids/dsts"),
        (PROPERTIES, {"properties": ["priv:x"]}, "endpoints"),
        (PROPERTIES, {"endpoints": ["ipv4:192.0.2.1"]}, "properties"),
        (COSTS, {"cost-type": ROUTING}, "endpoints"),
        (COSTS, {"endpoints": HERE}, "cost-type"),
    ],
)
def test_a_field_that_is_missing_is_named_by_its_full_path(path: str, body: object, field: str) -> None:
    assert error(path, body) == {"code": MISSING, "field": field}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (FILTERED_MAP, {"pids": "PID1"}, "pids"),
        (FILTERED_MAP, {"pids": [], "address-types": None}, "address-types"),
        (FILTERED, {"cost-type": "routingcost"}, "cost-type"),
        (FILTERED, {"cost-type": {"cost-metric": 5, "cost-mode": "numerical"}}, "cost-type/cost-metric"),
        (FILTERED, {"cost-type": ROUTING, "constraints": "gt 5"}, "constraints"),
        (FILTERED, {"cost-type": ROUTING, "pids": []}, "pids"),
        (FILTERED, {"cost-type": ROUTING, "pids": {"srcs": [], "dsts": {}}}, "pids/dsts"),
        (COSTS, {"cost-type": ROUTING, "endpoints": {"srcs": True}}, "endpoints/srcs"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(path: str, body: object, field: str) -> None:
    assert error(path, body) == {"code": TYPE, "field": field}


@pytest.mark.parametrize(
    ("path", "body", "field", "value"),
    [
        (FILTERED_MAP, {"pids": ["PID 1"]}, "pids", "PID 1"),
        (FILTERED_MAP, {"pids": ["PID1", 5]}, "pids", "5"),
        (FILTERED_MAP, {"pids": [None]}, "pids", "null"),
        (FILTERED_MAP, {"pids": [], "address-types": ["ip v4"]}, "address-types", "ip v4"),
        (FILTERED, {"cost-type": {**ROUTING, "cost-mode": "foo"}}, "cost-type/cost-mode", "foo"),
        (FILTERED, {"cost-type": {**ROUTING, "cost-metric": "delay-ow"}}, "cost-type/cost-metric", "delay-ow"),
        (FILTERED, {"cost-type": {**ROUTING, "cost-metric": "priv:"}}, "cost-type/cost-metric", "priv:"),
        (FILTERED, {"cost-type": ROUTING, "constraints": ["ne 5"]}, "constraints", "ne 5"),
        (FILTERED, {"cost-type": ROUTING, "constraints": ["[0] gt 5"]}, "constraints", "[0] gt 5"),
        (FILTERED, {"cost-type": ROUTING, "constraints": [{"gt": 5}]}, "constraints", '{"gt":5}'),
        (FILTERED, {"cost-type": ROUTING, "pids": {"srcs": [[]], "dsts": []}}, "pids/srcs", "[]"),
        (PROPERTIES, {"properties": [], "endpoints": ["ipv4:192.0.2.1"]}, "properties", "[]"),
        (PROPERTIES, {"properties": ["priv:ietf-example-prop"], "endpoints": []}, "endpoints", "[]"),
        (PROPERTIES, {"properties": ["priv:other"], "endpoints": ["ipv4:192.0.2.1"]}, "properties", "priv:other"),
        (PROPERTIES, {"properties": ["other.pid"], "endpoints": ["ipv4:192.0.2.1"]}, "properties", "other.pid"),
        (PROPERTIES, {"properties": [f"{MAP}.pid"], "endpoints": ["192.0.2.1"]}, "endpoints", "192.0.2.1"),
        (COSTS, {"cost-type": ROUTING, "endpoints": {**HERE, "dsts": ["ipv4:192.0.2.0/24"]}}, "endpoints/dsts",
         "ipv4:192.0.2.0/24"),
        (COSTS, {"cost-type": ROUTING, "endpoints": {"srcs": [], "dsts": []}}, "endpoints", '{"srcs":[],"dsts":[]}'),
        (COSTS, {"cost-type": ROUTING, "endpoints": {}}, "endpoints", "{}"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_repeated_as_a_string_with_the_field_it_stood_in(
    path: str, body: object, field: str, value: str
) -> None:
    assert error(path, body) == {"code": VALUE, "field": field, "value": value}


def test_a_value_of_any_length_makes_a_short_error() -> None:
    assert len(error(FILTERED_MAP, {"pids": ["x" * 100_000]})["value"]) == 256


def test_constraints_are_refused_where_a_resource_does_not_offer_them() -> None:
    server = service(capabilities={"cost-type-names": ["num-routing"]})
    for path, body in ((FILTERED, {}), (COSTS, {"endpoints": HERE})):
        answer = post(server, path, {"cost-type": ROUTING, "constraints": ["gt 5"], **body})
        assert document(answer)["meta"] == {"code": VALUE, "field": "constraints", "value": '["gt 5"]'}


def test_a_mode_that_a_resource_does_not_offer_is_refused() -> None:
    server = service(capabilities={"cost-type-names": ["num-routing"]})
    answer = post(server, FILTERED, {"cost-type": {**ROUTING, "cost-mode": "ordinal"}})
    assert document(answer)["meta"] == {"code": VALUE, "field": "cost-type/cost-mode", "value": "ordinal"}


def test_of_several_errors_exactly_one_is_told() -> None:
    assert error(FILTERED, {"cost-type": 5, "constraints": 5, "pids": 5})["code"] in (MISSING, TYPE, VALUE)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (FILTERED_MAP, {"pids": ["PID1"]}),
        (
            FILTERED,
            {"cost-type": {**ROUTING, "description": "not read", "unknown": [1]}, "pids": {"srcs": [], "dsts": []}},
        ),
        (PROPERTIES, {"properties": [f"{MAP}.pid"], "endpoints": ["ipv4:192.0.2.1"]}),
        (COSTS, {"cost-type": ROUTING, "endpoints": HERE}),
    ],
)
def test_fields_that_are_not_known_are_passed_over(path: str, body: dict[str, Any]) -> None:
    server = service()
    answer = post(server, path, {**body, "multi-cost-types": 5, "or-constraints": "", "unknown": {"pids": 5}})
    assert answer.status == 200 and document(answer) == document(post(server, path, body))
