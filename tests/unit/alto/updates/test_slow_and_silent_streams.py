"""Streams over time: kept alive, ended when nobody reads, bounded when one reads slowly."""

from __future__ import annotations

import pytest

from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.following.client import Stopped
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.service import Cut, Send
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest
from tests.update_streams import COSTS, FILTERED, NET, PATCH, Joined, Maps, kinds_sent


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
    assert kinds_sent(other) == [f"{PATCH},costs"]


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
    assert kinds_sent(joined) == ["application/alto-costmap+json,costs"]
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
