"""Filters of the command line: what they say, and the requests that they come to."""

from __future__ import annotations

import json

import pytest

from testbed.alto import media_types
from testbed.alto.client.closure import Closure
from testbed.alto.client.directory_walk import DirectoryWalk
from testbed.alto.network import directories
from testbed.alto.service.exchange import Answer
from testbed.cli.alto import filters
from testbed.cli.alto.filters import FilterError


@pytest.fixture
def closure() -> Closure:
    walk = DirectoryWalk("http://127.0.0.1/directory")
    walk.next_request()
    walk.take(Answer(200, {"Content-Type": media_types.DIRECTORY}, directories.directory().octets))
    return walk.closure


def body(closure: Closure, resource: str, *texts: str) -> object:
    named = closure[resource]
    asked = filters.filtering(closure, named)
    return json.loads(filters.request(asked, filters.parse(texts), named if asked is not named else None).body)


def test_a_whole_map_is_filtered_by_the_resource_that_does_it(closure: Closure) -> None:
    assert filters.filtering(closure, closure["delay-ow-ordinal"]).resource_id == "costs-filtered"
    assert filters.filtering(closure, closure["net"]).resource_id == "net-filtered"
    assert filters.filtering(closure, closure["properties"]).resource_id == "properties-filtered"
    assert body(closure, "delay-ow-ordinal", "src=a,b", "where=le 5", "where=ge 2") == {
        "cost-type": {"cost-mode": "ordinal", "cost-metric": "delay-ow"},
        "pids": {"srcs": ["a", "b"], "dsts": []},
        "constraints": ["le 5", "ge 2"],
    }


def test_several_cost_types_are_asked_for_at_once(closure: Closure) -> None:
    assert body(closure, "endpoint-costs", "dst=ipv4:192.0.2.1", "cost=hopcount,delay-ow/ordinal") == {
        "multi-cost-types": [
            {"cost-mode": "numerical", "cost-metric": "hopcount"},
            {"cost-mode": "ordinal", "cost-metric": "delay-ow"},
        ],
        "endpoints": {"srcs": [], "dsts": ["ipv4:192.0.2.1"]},
    }


def test_properties_that_are_not_named_are_all_of_the_entities(closure: Closure) -> None:
    assert body(closure, "properties", "entities=ipv4:192.0.2.1") == {
        "entities": ["ipv4:192.0.2.1"],
        "properties": ["net.pid"],
    }
    assert body(closure, "endpoint-properties", "endpoints=ipv4:192.0.2.1", "properties=priv:node") == {
        "properties": ["priv:node"],
        "endpoints": ["ipv4:192.0.2.1"],
    }


@pytest.mark.parametrize(
    ("resource", "texts", "said"),
    [
        ("net", ["colour=red"], "must be KEY=VALUE with one of the keys pids"),
        ("net", ["pids"], "must be KEY=VALUE"),
        ("net", ["pids="], "must be KEY=VALUE"),
        ("net", ["pids=a", "pids=b"], "stands twice; it is said once, with commas"),
        ("net", ["src=a"], "src=… means nothing for net-filtered; it takes pids, types"),
        ("net", ["where=le 3"], "where=… means nothing"),
        ("hopcount-numerical", ["cost=hopcount/best"], "METRIC/MODE with one of numerical, ordinal"),
        ("hopcount-numerical", ["cost=beauty"], "does not offer numerical beauty; it offers"),
        ("hopcount-numerical", ["cost=a b"], "is no cost metric"),
        ("endpoint-costs", ["cost=hopcount"], "sources, destinations or both"),
        ("endpoint-properties", ["properties=net.pid"], "at least one property and one endpoint"),
    ],
)
def test_what_means_nothing_is_named(closure: Closure, resource: str, texts: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        body(closure, resource, *texts)


def test_a_user_has_a_name_and_a_password() -> None:
    assert filters.user("me:a:b") == ("me", "a:b")
    assert filters.user(None) is None
    for wrong in ("me", ":x", "me:"):
        with pytest.raises(FilterError, match="NAME:PASSWORD"):
            filters.user(wrong)
