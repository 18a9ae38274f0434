"""What an answer to an invocation says of its parts."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest

from traffic.content import invocation
from traffic.content.invocation import Activation


def _answer(**annotations: Any) -> bytes:
    pairs = [{"key": key, "value": value} for key, value in annotations.items()]
    document = {"activationId": "f00", "duration": 90, "annotations": pairs, "response": {"status": "success"}}
    return json.dumps(document).encode()


def test_a_cold_start_is_part_of_what_the_platform_calls_wait() -> None:
    said = invocation.read(_answer(waitTime=60, startTime=50, initTime=30, start="cold"))
    assert said == Activation("f00", "success", "cold", 10.0, 50.0, 30.0, 60.0)
    assert said.spent_ms == 150


def test_a_warm_start_has_no_start_and_no_initialisation() -> None:
    said = invocation.read(_answer(waitTime=1, start="warm"))
    assert (said.wait_ms, said.start_ms, said.init_ms, said.run_ms) == (1, 0, 0, 90)


@pytest.mark.parametrize(
    ("field", "kept_s"),
    [
        ("max-age=10", 10),
        ("private, Max-Age=3", 3),
        ('max-age="7"', 7),
        ("", 0),
        ("max-age=-1", 0),
        ("max-age=ten", 0),
        ("max-age=99999999999", 0),
        ("no-store, max-age=10", 0),
        ("max-age=10, no-cache", 0),
    ],
)
def test_an_answer_is_kept_for_as_long_as_it_says(field: str, kept_s: float) -> None:
    assert invocation.kept_s(field) == kept_s


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"7",
        b'{"annotations": 5}',
        b'{"annotations": [5, {"key": 1}], "duration": "long"}',
        b"{" * 9000,
    ],
)
def test_what_is_no_activation_says_nothing(body: bytes) -> None:
    said = invocation.read(body)
    assert (said.wait_ms, said.run_ms, said.start) == (None, None, None)


def test_addresses_of_both_versions_stand_in_urls() -> None:
    assert invocation.url(ip_address("10.1.0.10"), 3233, "a b") == (
        "http://10.1.0.10:3233/api/v1/namespaces/_/actions/a%20b?blocking=true"
    )
    assert invocation.url(ip_address("fd00::1"), 1, "f").startswith("http://[fd00::1]:1/")


@pytest.mark.parametrize("parameters", [{}, {"data": "eA=="}, {"a": {"b": [1]}, "c": None}])
def test_a_parameter_is_added_to_those_that_there_are(parameters: dict[str, Any]) -> None:
    body = invocation.with_parameter(json.dumps(parameters).encode(), "took_ms", 12.5)
    assert json.loads(body) == {"took_ms": 12.5, **parameters}
