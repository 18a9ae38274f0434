"""A client of update streams: what it believes, and what it says is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.events.sse_events import encode
from testbed.alto.updates.following.client import Broken, Lost, Stopped, UpdateClient, Updated
from testbed.alto.updates.stream_requests import AddSubstream, parse_control_request, parse_update_request
from tests.update_streams import COSTS, NET, URI, Joined, Maps

NETWORK_MAP, COST_MAP = "application/alto-networkmap+json", "application/alto-costmap+json"
PATCH = "application/merge-patch+json"
FIRST = ControlUpdate(names_control=True, control_uri="/streams/7").encoded()


def _net(tag: str, **pids: Any) -> dict[str, Any]:
    return {"meta": {"vtag": {"resource-id": NET, "tag": tag}}, "network-map": pids}


def _costs(tag: str, **rows: Any) -> dict[str, Any]:
    return {"meta": {"dependent-vtags": [{"resource-id": NET, "tag": tag}]}, "cost-map": rows}


def _event(media_type: str, name: str, document: Any) -> bytes:
    return encode(f"{media_type},{name}", json.dumps(document).encode())


def _client(*octets: bytes, **adds: AddSubstream) -> UpdateClient:
    client = UpdateClient({NET: AddSubstream(NET), COSTS: AddSubstream(COSTS)} | adds, URI)
    client.open_request()
    for piece in (FIRST, *octets):
        client.receive(piece)
    assert client.broken is None
    return client


NET_1 = _event(NETWORK_MAP, NET, _net("1", a=1))
COSTS_1 = _event(COST_MAP, COSTS, _costs("1", a={"a": 1}))


def test_a_whole_resource_replaces_and_a_patch_changes_the_copy() -> None:
    client = _client(NET_1, COSTS_1)
    assert client.receive(_event(PATCH, COSTS, {"cost-map": {"a": {"b": 2}}})) == [Updated(COSTS)]
    assert client.copies[COSTS].document == _costs("1", a={"a": 1, "b": 2})
    assert client.receive(_event(COST_MAP, COSTS, _costs("1"))) == [Updated(COSTS)]
    assert client.copies[COSTS].document == _costs("1")
    assert (client.copies[COSTS].replacements, client.copies[COSTS].patches) == (2, 1)


@pytest.mark.parametrize(("name", "event", "reason"), [
    (NET, _event(PATCH, NET, {"network-map": {"b": 1}}), "a patch that leaves the tag 1"),
    (NET, _event(NETWORK_MAP, NET, _net("1", b=1)), "other content under the same tag 1"),
    (NET, _event(PATCH, NET, {"meta": {"vtag": {"resource-id": "other", "tag": "2"}}}), "it is of resource 'other'"),
    (NET, _event(NETWORK_MAP, NET, [1]), "no JSON object"),
    (NET, encode(f"{NETWORK_MAP},{NET}", b"{"), "no JSON"),
    (NET, encode(f"{PATCH},{NET}", b"null"), "no JSON object"),
    (NET, _event("application/json-patch+json", NET, {}), "changes as application/json-patch"),
    (COSTS, _event(PATCH, COSTS, {"meta": {"dependent-vtags": [{"resource-id": NET, "tag": "2"}]}}),
     "it depends on version 2 of net, which has not come"),
    (COSTS, _event(COST_MAP, COSTS, _costs("7")), "it depends on version 7 of net, which has not come"),
])  # fmt: skip
def test_an_update_that_does_not_fit_loses_the_copy_until_a_whole_resource_comes(
    name: str, event: bytes, reason: str
) -> None:
    client = _client(NET_1, COSTS_1)
    (lost,) = client.receive(event)
    assert isinstance(lost, Lost) and lost.name == name and reason in lost.reason
    assert client.copies[name].document is None and not client.is_current(name)
    (again,) = client.receive(_event(PATCH, name, {"a": 1}))
    assert isinstance(again, Lost) and "without the resource" in again.reason
    assert client.receive(NET_1 if name == NET else COSTS_1) == [Updated(name)]
    assert client.is_current(name) and client.resync_request() is None


def test_a_patch_before_the_resource_is_a_gap() -> None:
    (lost,) = _client(NET_1).receive(_event(PATCH, COSTS, {"cost-map": {}}))
    assert lost == Lost(COSTS, "a patch without the resource that it changes")


def test_a_patch_that_was_not_asked_for_is_not_taken() -> None:
    client = _client(COSTS_1, **{COSTS: AddSubstream(COSTS, incremental_changes=False)})
    (lost,) = client.receive(_event(PATCH, COSTS, {"cost-map": {}}))
    assert lost == Lost(COSTS, "a patch, which was not asked for")


def test_costs_of_a_version_that_was_current_before_are_stale_and_not_lost() -> None:
    client = _client(NET_1, COSTS_1, _event(NETWORK_MAP, NET, _net("2")))
    assert not client.is_current(COSTS)
    assert client.receive(_event(COST_MAP, COSTS, _costs("1", b={}))) == [Updated(COSTS)]
    assert not client.is_current(COSTS)
    client.receive(_event(PATCH, COSTS, {"meta": {"dependent-vtags": [{"resource-id": NET, "tag": "2"}]}}))
    assert client.is_current(COSTS)


@pytest.mark.parametrize(("octets", "reason"), [
    (NET_1, "does not begin with its control URI"),
    (ControlUpdate(started=(NET,)).encoded(), "control URI is named once"),
    (FIRST + FIRST, "control URI is named once"),
    (encode("application/alto-updatestreamcontrol+json", b"[]"), "a control update is wrong"),
    (b"data: " + b"x" * 5000, "a line of more than 4000 octets"),
])  # fmt: skip
def test_a_stream_that_goes_against_its_form_is_broken_and_nothing_more_is_taken(octets: bytes, reason: str) -> None:
    client = UpdateClient({NET: AddSubstream(NET)}, URI, most_octets=4000)
    client.open_request()
    (broken,) = client.receive(octets)
    assert isinstance(broken, Broken) and reason in broken.reason and client.broken == broken.reason
    assert client.receive(b"\n\n" + FIRST + NET_1) == []
    client.open_request()
    assert client.receive(FIRST + NET_1) == [Updated(NET)]


def test_a_tag_that_is_none_is_not_sent_back() -> None:
    client = _client(_event(NETWORK_MAP, NET, _net("\ufffd")))
    assert client.copies[NET].tag is None
    assert parse_update_request(client.open_request()).add[NET] == AddSubstream(NET)


def test_updates_for_nothing_that_was_asked_for_are_counted_and_dropped() -> None:
    client = _client(NET_1)
    assert client.receive(_event(NETWORK_MAP, "other", {}) + encode(NETWORK_MAP, b"{}") + encode("", b"{}")) == []
    assert client.unexpected == 3


def test_a_control_uri_is_taken_as_relative_to_that_of_the_stream() -> None:
    for uri, absolute in (
        ("/streams/7", "https://alto.example.com/streams/7"),
        ("s/7", "https://alto.example.com/s/7"),
        ("https://other.example.com/7", "https://other.example.com/7"),
    ):
        client = UpdateClient({NET: AddSubstream(NET)}, URI)
        client.receive(ControlUpdate(names_control=True, control_uri=uri).encoded())
        assert client.control_uri == absolute


def test_what_was_lost_is_asked_for_again_under_another_substream_id() -> None:
    maps = Maps()
    joined = Joined(maps, NET, COSTS)
    joined.drain()
    joined.client.receive(_event(PATCH, COSTS, {"meta": {"dependent-vtags": [{"resource-id": NET, "tag": "?"}]}}))
    assert joined.document(COSTS) is None
    maps.set_costs({"pid0": {"pid1": 8}})
    request = joined.client.resync_request()
    assert request is not None and joined.client.resync_request() is None
    asked = parse_control_request(request)
    assert asked.remove == (COSTS,) and list(asked.add.values()) == [AddSubstream(COSTS)]
    joined.control(request)
    assert joined.drain() == [Updated(COSTS)]
    assert joined.document(COSTS) == maps.resources[COSTS].document
    maps.set_costs({"pid0": {"pid1": 9}})
    assert joined.drain() == [Updated(COSTS)]
    assert joined.document(COSTS)["cost-map"]["pid0"]["pid1"] == 9
    assert joined.client.unexpected == 0


def test_a_new_stream_goes_on_from_the_tags_that_the_client_has() -> None:
    maps = Maps()
    joined = Joined(maps, NET, COSTS)
    joined.drain()
    maps.server.closed(joined.stream_id)
    joined.open()
    assert parse_update_request(joined.client.open_request()).add == {
        NET: AddSubstream(NET, tag=maps.resources[NET].tag), COSTS: AddSubstream(COSTS),
    }  # fmt: skip
    assert not joined.client.is_current(COSTS), "a cost map has no tag to go on from"
    assert joined.drain() == [Updated(COSTS)]
    assert joined.client.is_current(COSTS) and joined.document(NET) == maps.resources[NET].document


def test_substreams_that_stopped_have_no_more_updates() -> None:
    client = _client(NET_1)
    assert client.receive(ControlUpdate(stopped=(NET, "other"), description="gone").encoded()) == [
        Stopped((NET,), "gone")
    ]
    assert client.receive(_event(PATCH, NET, {})) == [] and client.unexpected == 1
