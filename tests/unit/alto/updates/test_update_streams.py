"""Update streams: what a client asks for, what it is sent, and how a stream ends."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from testbed.alto.errors import AltoError
from testbed.alto.updates import substream
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.events.sse_decoder import SseDecoder
from testbed.alto.updates.events.sse_events import Event
from testbed.alto.updates.following.client import Stopped, Updated
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.resources import Offer, OffersUnordered, ranks
from testbed.alto.updates.service import Cut, Send
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest
from tests.update_streams import COSTS, FILTERED, NET, OFFERS, Joined, Maps

CONTROL = "application/alto-updatestreamcontrol+json"
PATCH = "application/merge-patch+json"


def _events(octets: bytes) -> list[Event]:
    return SseDecoder().feed(octets)


def _kinds(joined: Joined) -> list[str]:
    """Read all that there is; return the types of its events."""
    before = len(joined.sent)
    joined.drain()
    return [event.kind for event in _events(joined.sent[before:])]


# -- the order of events


def test_the_first_event_names_the_control_uri_of_this_stream_and_no_other() -> None:
    maps = Maps()
    first, second = Joined(maps, NET), Joined(maps, NET)
    for joined in (first, second):
        joined.drain()
        event = _events(joined.sent)[0]
        assert event.kind == CONTROL
        assert json.loads(event.data) == {"control-uri": f"streams/{joined.stream_id}"}
    assert first.client.control_uri == f"https://alto.example.com/streams/{first.stream_id}"
    assert first.client.control_uri != second.client.control_uri


def test_without_stream_control_the_first_event_says_so() -> None:
    joined = Joined(Maps(control_uri=None), NET)
    joined.drain()
    assert json.loads(_events(joined.sent)[0].data) == {"control-uri": None}
    assert joined.client.control_uri is None and joined.client.broken is None
    with pytest.raises(StreamUnavailable) as refused:
        joined.control(StreamRequest(remove=()))
    assert refused.value.status == 404


def test_every_resource_is_sent_whole_at_first_and_what_it_depends_on_before_it() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS, NET)  # asked for in the other order
    assert _kinds(joined) == [
        CONTROL, "application/alto-networkmap+json,net", "application/alto-costmap+json,costs",
    ]  # fmt: skip
    assert joined.document(NET) == maps.resources[NET].document
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_a_version_that_the_client_has_is_not_sent_again() -> None:
    maps = Maps()
    joined = Joined(maps, NET, held={NET: maps.resources[NET].document})
    assert _kinds(joined) == [CONTROL]
    maps.set_network({"pid0": None})
    assert _kinds(joined) == [f"{PATCH},net"]


def test_a_version_that_is_no_longer_current_is_replaced_before_any_change() -> None:
    maps = Maps()
    old = copy.deepcopy(maps.resources[NET].document)
    maps.set_network({"pid0": None})
    joined = Joined(maps, NET, held={NET: old})
    maps.set_network({"pid1": None})
    assert _kinds(joined) == [CONTROL, "application/alto-networkmap+json,net"]


def test_one_changed_cost_is_a_patch_of_that_cost() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    bodies = maps.resources[COSTS].bodies
    assert maps.set_costs({"pid0": {"pid1": 7.5}}) == [Send(joined.stream_id)]
    before = len(joined.sent)
    assert joined.drain() == [Updated(COSTS)]
    (event,) = _events(joined.sent[before:])
    assert (event.kind, json.loads(event.data)) == (f"{PATCH},costs", {"cost-map": {"pid0": {"pid1": 7.5}}})
    assert maps.resources[COSTS].bodies == bodies  # the map was not written for it
    assert joined.document(COSTS)["cost-map"]["pid0"] == {"pid0": 1, "pid1": 7.5, "pid2": 1, "pid3": 1}


def test_a_cost_that_is_no_more_is_removed_by_null() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    maps.set_costs({"pid0": {"pid1": None}})
    joined.drain()
    assert json.loads(_events(joined.sent)[-1].data) == {"cost-map": {"pid0": {"pid1": None}}}
    assert "pid1" not in joined.document(COSTS)["cost-map"]["pid0"]


def test_a_network_map_goes_before_the_costs_that_depend_on_it_however_they_were_published() -> None:
    maps = Maps(20)
    joined = Joined(maps, COSTS, NET)
    joined.drain()
    maps.set_costs({"pid0": {"pid1": 2}})
    maps.set_network({"pid0": {"ipv4": ["198.51.100.0/24"]}})
    maps.set_costs({"pid0": {"pid1": 3}})
    kinds = _kinds(joined)
    assert kinds == [f"{PATCH},net"] + [f"{PATCH},costs"] * 3
    assert joined.client.is_current(COSTS) and joined.document(COSTS) == maps.resources[COSTS].document


def test_costs_of_another_version_of_the_network_map_are_not_current() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS, NET)
    joined.drain()
    assert joined.client.is_current(COSTS)
    maps._publish(NET, {"network-map": {"pid0": None}}, False)  # a server that is slower with its costs
    joined.drain()
    assert joined.client.is_current(NET) and not joined.client.is_current(COSTS)
    maps.set_network({})
    joined.drain()
    assert joined.client.is_current(COSTS)


def test_a_client_that_wants_no_patches_is_sent_whole_resources_and_the_last_one_only() -> None:
    maps = Maps()
    joined = Joined(maps, **{COSTS: AddSubstream(COSTS, incremental_changes=False)})
    joined.drain()
    for cost in range(5):
        maps.set_costs({"pid0": {"pid1": cost}})
    assert _kinds(joined) == ["application/alto-costmap+json,costs"]
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_what_changed_in_most_of_its_costs_is_sent_whole() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    maps.set_costs({one: dict.fromkeys(maps.pids, 2) for one in maps.pids})
    assert _kinds(joined) == ["application/alto-costmap+json,costs"]


def test_a_version_without_a_patch_is_sent_whole() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    maps.set_network({"pid0": None}, whole=True)
    assert _kinds(joined) == ["application/alto-networkmap+json,net"]


def test_a_patch_of_another_version_than_the_client_has_is_not_sent() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    maps.resources[COSTS].tag = "made without a word"
    maps.set_costs({"pid0": {"pid1": 9}})
    assert _kinds(joined) == ["application/alto-costmap+json,costs"]
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_all_streams_have_the_same_in_the_end_whatever_they_were_sent() -> None:
    maps = Maps()
    one, other = Joined(maps, COSTS), Joined(maps, COSTS)
    for cost in range(30):
        maps.set_costs({"pid0": {"pid1": cost}})
        one.drain()
    other.drain()
    assert one.document(COSTS) == other.document(COSTS) == maps.resources[COSTS].document
    assert len(one.sent) > len(other.sent)


def test_a_whole_resource_is_written_once_for_streams_that_send_it_together() -> None:
    maps = Maps()
    joined = [Joined(maps, COSTS) for _ in range(3)]
    for stream in joined:
        stream.read(400)
    assert maps.resources[COSTS].bodies == 1
    for stream in joined:
        stream.drain()
        assert stream.document(COSTS) == maps.resources[COSTS].document


# -- resources with input


def test_an_answer_to_input_is_kept_current_by_patches_and_is_left_alone_if_it_did_not_change() -> None:
    maps = Maps(10)
    joined = Joined(maps, some=AddSubstream(FILTERED, input={"sources": ["pid0", "pid3"]}))
    joined.drain()
    assert set(joined.document("some")["cost-map"]) == {"pid0", "pid3"}
    maps.set_costs({"pid3": {"pid1": 7}})
    assert _kinds(joined) == [f"{PATCH},some"]
    assert joined.document("some")["cost-map"]["pid3"]["pid1"] == 7
    maps.set_costs({"pid4": {"pid1": 7}})
    assert _kinds(joined) == []


def test_an_answer_that_gets_a_null_is_sent_whole() -> None:
    maps = Maps(10)
    joined = Joined(maps, some=AddSubstream(FILTERED, input={"sources": ["pid0"]}))
    joined.drain()
    maps.resources[COSTS].document["cost-map"]["pid0"]["pid1"] = None
    maps.set_costs({})
    assert _kinds(joined) == ["application/alto-costmap+json,some"]
    assert joined.document("some")["cost-map"]["pid0"]["pid1"] is None


def test_of_a_long_answer_no_more_is_kept_than_whether_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = Maps(10)
    joined = Joined(maps, some=AddSubstream(FILTERED, input={"sources": ["pid0", "pid1"]}))
    whole = "application/alto-costmap+json,some"
    assert _kinds(joined) == [CONTROL, whole]
    monkeypatch.setattr(substream, "LONGEST_ANSWER_KEPT", 100)
    for cost, kinds in ((7, [f"{PATCH},some"]), (8, [whole]), (8, []), (9, [whole])):
        maps.set_costs({"pid0": {"pid1": cost}})
        assert _kinds(joined) == kinds
        assert len(maps.server._streams[joined.stream_id].substreams["some"]._sent) < 100
    monkeypatch.undo()
    for cost, kinds in ((10, [whole]), (11, [f"{PATCH},some"])):
        maps.set_costs({"pid0": {"pid1": cost}})
        assert _kinds(joined) == kinds
    assert joined.document("some")["cost-map"]["pid0"]["pid1"] == 11


def test_one_resource_with_two_inputs_is_two_substreams() -> None:
    maps = Maps()
    adds = {pid: AddSubstream(FILTERED, input={"sources": [pid]}) for pid in ("pid0", "pid1")}
    joined = Joined(maps, **adds)
    joined.drain()
    assert [set(joined.document(pid)["cost-map"]) for pid in adds] == [{"pid0"}, {"pid1"}]


# -- stream control


def test_resources_are_added_and_removed_by_the_control_uri() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    assert joined.control(StreamRequest({"more": AddSubstream(COSTS)}, (NET,))) == [Send(joined.stream_id)]
    before = len(joined.sent)
    joined.drain()
    started, stopped, costs = _events(joined.sent[before:])
    assert json.loads(started.data) == {"started": ["more"]}
    assert json.loads(stopped.data) == {"stopped": [NET], "description": "its client removed it"}
    assert costs.kind == "application/alto-costmap+json,more"
    maps.set_network({"pid0": None})
    assert _kinds(joined) == [f"{PATCH},more"]


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
    assert _kinds(joined) == [CONTROL, CONTROL, "application/alto-costmap+json,more"]
    assert not joined.is_over


def test_a_control_uri_is_of_one_stream_only_and_of_none_once_it_is_closed() -> None:
    maps = Maps()
    first, second = Joined(maps, NET, COSTS), Joined(maps, NET, COSTS)
    first.drain(), second.drain()
    first.control(StreamRequest(remove=(NET,)))
    maps.set_network({"pid0": None})
    assert _kinds(first) == [CONTROL, f"{PATCH},costs"]
    assert _kinds(second) == [f"{PATCH},net", f"{PATCH},costs"]
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
    assert _kinds(both) == [f"{PATCH},net"]


# -- what is refused


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
    assert _kinds(joined) == [f"{PATCH},net"]


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


# -- time


def test_a_silent_stream_is_kept_alive_by_comments() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    for _ in range(3):
        assert maps.server.next_timer_s() == maps.now_s + 15
        maps.now_s += 15
        assert maps.server.on_timer(maps.now_s) == [Send(joined.stream_id)]
        assert joined.drain() == []
        assert joined.sent.endswith(b": keep-alive\n\n")
    assert joined.client.broken is None


def test_a_timer_that_fires_early_does_nothing() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    assert maps.server.on_timer(maps.now_s + 14.9) == []


def test_a_client_that_takes_nothing_is_ended_with_a_reason_and_then_cut() -> None:
    maps = Maps()
    joined, other = Joined(maps, COSTS), Joined(maps, COSTS)
    joined.read(150)
    other.drain()
    maps.now_s += 29
    assert maps.server.on_timer(maps.now_s) == [Send(other.stream_id)]  # its comment
    maps.now_s += 1
    assert maps.server.next_timer_s() == maps.now_s
    assert maps.server.on_timer(maps.now_s) == []
    maps.now_s += 5
    (cut,) = maps.server.on_timer(maps.now_s)
    assert cut == Cut(joined.stream_id, "its client has taken nothing for 30 s")
    assert maps.server.take(joined.stream_id, 100, maps.now_s).is_last
    other.drain()
    maps.set_costs({"pid0": {"pid1": 5}})
    assert _kinds(other) == [f"{PATCH},costs"]


def test_a_client_that_wakes_in_time_reads_why_its_stream_ended() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    maps.now_s += 30
    maps.server.on_timer(maps.now_s)
    assert joined.drain() == [Stopped((COSTS,), "The stream ends: its client has taken nothing for 30 s")]
    assert joined.is_over and maps.server.next_timer_s() is None


def test_a_client_that_reads_slowly_but_reads_is_not_stalled() -> None:
    maps = Maps(30)
    joined = Joined(maps, COSTS)
    for _ in range(20):
        assert len(joined.sent) < maps.resources[COSTS].size_octets()
        joined.read(300)
        maps.now_s += 29
        maps.server.on_timer(maps.now_s)
    assert not joined.is_over
    joined.drain()
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_patches_that_wait_for_a_slow_client_become_one_full_replacement() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    for cost in range(1000):
        maps.set_costs({"pid0": {"pid1": cost}})
    assert _kinds(joined) == ["application/alto-costmap+json,costs"]
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_a_client_slower_than_its_resource_is_ended_with_a_reason() -> None:
    maps = Maps(bounds=Bounds(rounds_behind=2))
    joined = Joined(maps, COSTS)
    joined.drain()
    for cost in range(1000):
        maps.set_costs({"pid0": {"pid1": cost}})
        events = joined.read(20)
        if joined.is_over:
            break
    assert joined.is_over
    assert events == [Stopped((COSTS,), "The stream ends: its client reads more slowly than costs changes")]
    assert maps.server.counts["streams ended: its client reads more slowly than costs changes"] == 1


def test_control_updates_that_are_not_read_are_bounded() -> None:
    maps = Maps(bounds=Bounds(control_updates=10))
    joined = Joined(maps, NET)
    with pytest.raises(StreamUnavailable) as refused:
        for number in range(100):
            joined.control(StreamRequest({f"a{number}": AddSubstream(COSTS)}))
            joined.control(StreamRequest(remove=(f"a{number}",)))
    assert refused.value.status == 404 and number < 10
    joined.drain()
    assert joined.is_over
    assert maps.server.counts == {
        "streams opened": 1, "controls of no stream": 1,
        "streams ended: its client does not read what it is sent about its substreams": 1,
    }  # fmt: skip


def test_what_a_slow_client_makes_the_server_hold_is_bounded() -> None:
    maps = Maps(20)
    joined = Joined(maps, COSTS, NET)
    joined.read(1000)
    stream = maps.server._streams[joined.stream_id]
    for cost in range(2000):
        maps.set_costs({"pid0": {"pid1": cost}})
    held = sum(map(len, stream._sending)) + sum(item._patch_octets for item in stream.substreams.values())
    assert held < 2 * maps.resources[COSTS].size_octets()


def test_a_server_that_stops_says_why() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    assert maps.server.end_all("the server stops", 100.0) == [Send(joined.stream_id)]
    assert joined.drain() == [Stopped((NET,), "The stream ends: the server stops")]


def test_closed_streams_leave_nothing_behind() -> None:
    maps = Maps()
    for _ in range(10):
        joined = Joined(maps, NET, COSTS, some=AddSubstream(FILTERED, input={"sources": []}))
        joined.read(500)
        maps.server.closed(joined.stream_id)
        maps.server.closed(joined.stream_id)
    assert not maps.server._streams and not maps.server._of_resource and not maps.server._replacements._sent
    assert maps.set_costs({"pid0": {"pid1": 5}}) == []


# -- small parts


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
