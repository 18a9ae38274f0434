"""What a stream sends: whole resources, then their changes, in an order that a client can follow."""

from __future__ import annotations

import copy
import json

import pytest

from testbed.alto.updates import substream
from testbed.alto.updates.following.client import Updated
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.service import Send
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest
from tests.update_streams import CONTROL, COSTS, FILTERED, NET, PATCH, Joined, Maps, events_of, kinds_sent


def test_the_first_event_names_the_control_uri_of_this_stream_and_no_other() -> None:
    maps = Maps()
    first, second = Joined(maps, NET), Joined(maps, NET)
    for joined in (first, second):
        joined.drain()
        event = events_of(joined.sent)[0]
        assert event.kind == CONTROL
        assert json.loads(event.data) == {"control-uri": f"streams/{joined.stream_id}"}
    assert first.client.control_uri == f"https://alto.example.com/streams/{first.stream_id}"
    assert first.client.control_uri != second.client.control_uri


def test_without_stream_control_the_first_event_says_so() -> None:
    joined = Joined(Maps(control_uri=None), NET)
    joined.drain()
    assert json.loads(events_of(joined.sent)[0].data) == {"control-uri": None}
    assert joined.client.control_uri is None and joined.client.broken is None
    with pytest.raises(StreamUnavailable) as refused:
        joined.control(StreamRequest(remove=()))
    assert refused.value.status == 404


def test_every_resource_is_sent_whole_at_first_and_what_it_depends_on_before_it() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS, NET)  # asked for in the other order
    assert kinds_sent(joined) == [
        CONTROL, "application/alto-networkmap+json,net", "application/alto-costmap+json,costs",
    ]  # fmt: skip
    assert joined.document(NET) == maps.resources[NET].document
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_a_version_that_the_client_has_is_not_sent_again() -> None:
    maps = Maps()
    joined = Joined(maps, NET, held={NET: maps.resources[NET].document})
    assert kinds_sent(joined) == [CONTROL]
    maps.set_network({"pid0": None})
    assert kinds_sent(joined) == [f"{PATCH},net"]


def test_a_version_that_is_no_longer_current_is_replaced_before_any_change() -> None:
    maps = Maps()
    old = copy.deepcopy(maps.resources[NET].document)
    maps.set_network({"pid0": None})
    joined = Joined(maps, NET, held={NET: old})
    maps.set_network({"pid1": None})
    assert kinds_sent(joined) == [CONTROL, "application/alto-networkmap+json,net"]


def test_one_changed_cost_is_a_patch_of_that_cost() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    bodies = maps.resources[COSTS].bodies
    assert maps.set_costs({"pid0": {"pid1": 7.5}}) == [Send(joined.stream_id)]
    before = len(joined.sent)
    assert joined.drain() == [Updated(COSTS)]
    (event,) = events_of(joined.sent[before:])
    assert (event.kind, json.loads(event.data)) == (f"{PATCH},costs", {"cost-map": {"pid0": {"pid1": 7.5}}})
    assert maps.resources[COSTS].bodies == bodies  # the map was not written for it
    assert joined.document(COSTS)["cost-map"]["pid0"] == {"pid0": 1, "pid1": 7.5, "pid2": 1, "pid3": 1}


def test_a_cost_that_is_no_more_is_removed_by_null() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    maps.set_costs({"pid0": {"pid1": None}})
    joined.drain()
    assert json.loads(events_of(joined.sent)[-1].data) == {"cost-map": {"pid0": {"pid1": None}}}
    assert "pid1" not in joined.document(COSTS)["cost-map"]["pid0"]


def test_a_network_map_goes_before_the_costs_that_depend_on_it_however_they_were_published() -> None:
    maps = Maps(20)
    joined = Joined(maps, COSTS, NET)
    joined.drain()
    maps.set_costs({"pid0": {"pid1": 2}})
    maps.set_network({"pid0": {"ipv4": ["198.51.100.0/24"]}})
    maps.set_costs({"pid0": {"pid1": 3}})
    sent = kinds_sent(joined)
    assert sent == [f"{PATCH},net"] + [f"{PATCH},costs"] * 3
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
    assert kinds_sent(joined) == ["application/alto-costmap+json,costs"]
    assert joined.document(COSTS) == maps.resources[COSTS].document


def test_what_changed_in_most_of_its_costs_is_sent_whole() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    maps.set_costs({one: dict.fromkeys(maps.pids, 2) for one in maps.pids})
    assert kinds_sent(joined) == ["application/alto-costmap+json,costs"]


def test_a_version_without_a_patch_is_sent_whole() -> None:
    maps = Maps()
    joined = Joined(maps, NET)
    joined.drain()
    maps.set_network({"pid0": None}, whole=True)
    assert kinds_sent(joined) == ["application/alto-networkmap+json,net"]


def test_a_patch_of_another_version_than_the_client_has_is_not_sent() -> None:
    maps = Maps()
    joined = Joined(maps, COSTS)
    joined.drain()
    maps.resources[COSTS].tag = "made without a word"
    maps.set_costs({"pid0": {"pid1": 9}})
    assert kinds_sent(joined) == ["application/alto-costmap+json,costs"]
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


def test_an_answer_to_input_is_kept_current_by_patches_and_is_left_alone_if_it_did_not_change() -> None:
    maps = Maps(10)
    joined = Joined(maps, some=AddSubstream(FILTERED, input={"sources": ["pid0", "pid3"]}))
    joined.drain()
    assert set(joined.document("some")["cost-map"]) == {"pid0", "pid3"}
    maps.set_costs({"pid3": {"pid1": 7}})
    assert kinds_sent(joined) == [f"{PATCH},some"]
    assert joined.document("some")["cost-map"]["pid3"]["pid1"] == 7
    maps.set_costs({"pid4": {"pid1": 7}})
    assert kinds_sent(joined) == []


def test_an_answer_that_gets_a_null_is_sent_whole() -> None:
    maps = Maps(10)
    joined = Joined(maps, some=AddSubstream(FILTERED, input={"sources": ["pid0"]}))
    joined.drain()
    maps.resources[COSTS].document["cost-map"]["pid0"]["pid1"] = None
    maps.set_costs({})
    assert kinds_sent(joined) == ["application/alto-costmap+json,some"]
    assert joined.document("some")["cost-map"]["pid0"]["pid1"] is None


def test_of_a_long_answer_no_more_is_kept_than_whether_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = Maps(10)
    joined = Joined(maps, some=AddSubstream(FILTERED, input={"sources": ["pid0", "pid1"]}))
    whole = "application/alto-costmap+json,some"
    assert kinds_sent(joined) == [CONTROL, whole]
    monkeypatch.setattr(substream, "LONGEST_ANSWER_KEPT", 100)
    for cost, kinds in ((7, [f"{PATCH},some"]), (8, [whole]), (8, []), (9, [whole])):
        maps.set_costs({"pid0": {"pid1": cost}})
        assert kinds_sent(joined) == kinds
        assert len(maps.server._streams[joined.stream_id].substreams["some"]._sent) < 100
    monkeypatch.undo()
    for cost, kinds in ((10, [whole]), (11, [f"{PATCH},some"])):
        maps.set_costs({"pid0": {"pid1": cost}})
        assert kinds_sent(joined) == kinds
    assert joined.document("some")["cost-map"]["pid0"]["pid1"] == 11


def test_one_resource_with_two_inputs_is_two_substreams() -> None:
    maps = Maps()
    adds = {pid: AddSubstream(FILTERED, input={"sources": [pid]}) for pid in ("pid0", "pid1")}
    joined = Joined(maps, **adds)
    joined.drain()
    assert [set(joined.document(pid)["cost-map"]) for pid in adds] == [{"pid0"}, {"pid1"}]
