"""Streams that are asked for and controlled: what is added and removed, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.alto.errors import AltoError
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.following.client import Stopped
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.resources import Offer, OffersUnordered, ranks
from testbed.alto.updates.service import Send
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest
from tests.update_streams import CONTROL, COSTS, FILTERED, NET, OFFERS, PATCH, Joined, Maps, events_of, kinds_sent


def test_resources_are_added_and_removed_by_the_control_uri() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    assert joined.control(StreamRequest({"more": AddSubstream(COSTS)}, (NET,))) == [Send(joined.stream_id)]
    before = len(joined.sent)
    joined.drain()
    started, stopped, costs = events_of(joined.sent[before:])
    assert json.loads(started.data) == {"started": ["more"]}
    assert json.loads(stopped.data) == {"stopped": [NET], "description": "its client removed it"}
    assert costs.kind == "application/alto-costmap+json,more"
    maps.set_network({"pid0": None})
    assert kinds_sent(joined) == [f"{PATCH},more"]


def test_a_stream_without_substreams_ends_and_says_which_stopped() -> None:
    maps = Maps()
    for request in (StreamRequest(remove=()), StreamRequest(remove=(NET, COSTS))):
        joined = Joined(maps, NET, COSTS)
        joined.drain()
        joined.control(request)
        (stopped,) = joined.drain()
        assert isinstance(stopped, Stopped) and set(stopped.names) == {NET, COSTS} and joined.is_over
    assert maps.server.next_timer_s() is None
    with pytest.raises(StreamUnavailable) as refused:
        joined.control(StreamRequest(remove=()))
    assert refused.value.status == 404


def test_all_are_removed_and_another_is_added_in_one_request() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    joined.control(StreamRequest({"more": AddSubstream(COSTS)}, ()))
    assert kinds_sent(joined) == [CONTROL, CONTROL, "application/alto-costmap+json,more"]
    assert not joined.is_over


def test_a_control_uri_is_of_one_stream_only_and_of_none_once_it_is_closed() -> None:
    maps = Maps()
    first, second = Joined(maps, NET, COSTS), Joined(maps, NET, COSTS)
    first.drain(), second.drain()
    first.control(StreamRequest(remove=(NET,)))
    maps.set_network({"pid0": None})
    assert kinds_sent(first) == [CONTROL, f"{PATCH},costs"]
    assert kinds_sent(second) == [f"{PATCH},net", f"{PATCH},costs"]
    maps.server.closed(first.stream_id)
    for stream_id in (first.stream_id, "guessed"):
        with pytest.raises(StreamUnavailable) as refused:
            maps.server.control(stream_id, StreamRequest(remove=()).encoded(), 100.0)
        assert refused.value.status == 404
    assert maps.server.counts["controls of no stream"] == 2


def test_a_resource_that_is_withdrawn_stops_with_the_reason_and_others_go_on() -> None:
    maps = Maps()
    both, one = Joined(maps, NET, COSTS), Joined(maps, COSTS)
    both.drain(), one.drain()
    assert set(maps.server.withdraw(COSTS, "no measurements any more", 100.0)) == {
        Send(both.stream_id), Send(one.stream_id),
    }  # fmt: skip
    assert both.drain() == [Stopped((COSTS,), "no measurements any more")]
    (stopped,) = one.drain()
    assert isinstance(stopped, Stopped) and one.is_over and not both.is_over
    maps.set_network({"pid0": None})
    assert kinds_sent(both) == [f"{PATCH},net"]


def _refused(maps: Maps, request: Any) -> AltoError:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    with pytest.raises(AltoError) as refused:
        maps.server.open(body, 100.0)
    assert maps.server.next_timer_s() is None, "a stream was made"
    return refused.value


@pytest.mark.parametrize(("request_", "code", "field", "value"), [
    (b"{", "E_SYNTAX", None, None),
    (b"[1]", "E_SYNTAX", None, None),
    (b'{"add": NaN}', "E_SYNTAX", None, None),
    (b"\xff", "E_SYNTAX", None, None),
    (b"[" * 100_000, "E_SYNTAX", None, None),
    ({}, "E_MISSING_FIELD", "add", None),
    ({"remove": ["net"]}, "E_MISSING_FIELD", "add", None),
    ({"add": {}}, "E_INVALID_FIELD_VALUE", "add", "{}"),
    ({"add": []}, "E_INVALID_FIELD_TYPE", "add", None),
    ({"add": {"a": 1}}, "E_INVALID_FIELD_TYPE", "add/a", None),
    ({"add": {"a": {}}}, "E_MISSING_FIELD", "add/a/resource-id", None),
    ({"add": {"a": {"resource-id": 1}}}, "E_INVALID_FIELD_TYPE", "add/a/resource-id", None),
    ({"add": {"a": {"resource-id": "nets"}}}, "E_INVALID_FIELD_VALUE", "add/a/resource-id", "nets"),
    ({"add": {"a b": {"resource-id": "net"}}}, "E_INVALID_FIELD_VALUE", "add", "a b"),
    ({"add": {"a,b": {"resource-id": "net"}}}, "E_INVALID_FIELD_VALUE", "add", "a,b"),
    ({"add": {"": {"resource-id": "net"}}}, "E_INVALID_FIELD_VALUE", "add", ""),
    ({"add": {"a" * 65: {"resource-id": "net"}}}, "E_INVALID_FIELD_VALUE", "add", "a" * 65),
    ({"add": {"a": {"resource-id": "net", "tag": 1}}}, "E_INVALID_FIELD_TYPE", "add/a/tag", None),
    ({"add": {"a": {"resource-id": "net", "tag": "x y"}}}, "E_INVALID_FIELD_VALUE", "add/a/tag", "x y"),
    ({"add": {"a": {"resource-id": "net", "incremental-changes": 1}}}, "E_INVALID_FIELD_TYPE",
     "add/a/incremental-changes", None),
    ({"add": {"a": {"resource-id": "filtered"}}}, "E_MISSING_FIELD", "add/a/input", None),
    ({"add": {"a": {"resource-id": "filtered", "input": []}}}, "E_INVALID_FIELD_TYPE", "add/a/input", None),
    ({"add": {"a": {"resource-id": "filtered", "input": {"sources": 7}}}}, "E_INVALID_FIELD_VALUE",
     "add/a/input/sources", "7"),
    ({"add": {"good": {"resource-id": "net"}, "a": {"resource-id": "nets"}}}, "E_INVALID_FIELD_VALUE",
     "add/a/resource-id", "nets"),
])  # fmt: skip
def test_a_request_with_an_error_makes_no_stream_and_names_the_field(
    request_: Any, code: str, field: str | None, value: str | None
) -> None:
    refused = _refused(Maps(), request_)
    meta = refused.meta
    assert (meta["code"], meta.get("field"), meta.get("value")) == (code, field, value)
    assert ("syntax-error" in meta) == (code == "E_SYNTAX")


def test_remove_has_no_place_in_the_request_for_a_stream_and_is_ignored() -> None:
    maps = Maps()
    stream_id = maps.server.open(b'{"add": {"a": {"resource-id": "net"}}, "remove": 7}', 100.0)
    assert b"net" in maps.server.take(stream_id, 10_000, 100.0).octets


@pytest.mark.parametrize(("request_", "code", "field", "value"), [
    ({}, "E_MISSING_FIELD", "add", None),
    ({"remove": {}}, "E_INVALID_FIELD_TYPE", "remove", None),
    ({"remove": [7]}, "E_INVALID_FIELD_VALUE", "remove", "7"),
    ({"remove": ["net", "other"]}, "E_INVALID_FIELD_VALUE", "remove", "other"),
    ({"add": {"net": {"resource-id": "costs"}}}, "E_INVALID_FIELD_VALUE", "add/net", "net"),
    ({"add": {"a": {"resource-id": "nets"}}, "remove": ["net"]}, "E_INVALID_FIELD_VALUE", "add/a/resource-id", "nets"),
])  # fmt: skip
def test_a_control_request_with_an_error_changes_nothing(
    request_: Any, code: str, field: str, value: str | None
) -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    with pytest.raises(AltoError) as refused:
        joined.control(json.dumps(request_).encode())
    meta = refused.value.meta
    assert (meta["code"], meta.get("field"), meta.get("value")) == (code, field, value)
    assert joined.drain() == []
    maps.set_network({"pid0": None})
    assert kinds_sent(joined) == [f"{PATCH},net"]


def test_a_request_of_many_octets_is_not_read() -> None:
    with pytest.raises(StreamUnavailable) as refused:
        Maps().server.open(b" " * (1 << 20) + b"{}", 100.0)
    assert refused.value.status == 413


def test_more_streams_or_substreams_than_there_may_be_are_refused_as_overload() -> None:
    maps = Maps(bounds=Bounds(streams=1, substreams=2))
    joined = Joined(maps, NET, COSTS)
    for attempt in (
        lambda: joined.control(StreamRequest({"more": AddSubstream(NET)})),
        lambda: Joined(maps, NET),
    ):
        with pytest.raises(StreamUnavailable) as refused:
            attempt()
        assert refused.value.status == 503
    maps.server.closed(joined.stream_id)
    Joined(maps, NET).drain()


def test_resources_are_ranked_above_what_they_use() -> None:
    assert ranks(OFFERS) == {NET: 1, COSTS: 2, FILTERED: 2}
    assert ranks([Offer("a", ("elsewhere",))]) == {"a": 1}
    with pytest.raises(OffersUnordered, match=r"circle: \['a', 'b'\]"):
        ranks([Offer("a", ("b",)), Offer("b", ("a",)), Offer("c")])


@pytest.mark.parametrize(
    "data", ["[]", "{", '{"started": "a"}', '{"stopped": [1]}', '{"control-uri": 1}', '{"description": 1}']
)
def test_a_malformed_control_update_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ControlUpdate.parse(data)
