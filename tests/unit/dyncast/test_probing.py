"""Probes that come back: the path is alive, the control process at its end is not; and what is believed of them."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.events import Noticed
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer

EAST, WEST, SOUTH = ip_address("10.1.0.1"), ip_address("10.2.0.1"), ip_address("10.3.0.1")


def _router() -> DRouter:
    peers = (Peer("west", WEST, 10.0), Peer("south", SOUTH, 10.0))
    return DRouter(DRouterConfig("east", (), peers, probe_interval_s=1.0), Random(1))


def _probes(d_router: DRouter, now_s: float) -> dict[str, bytes]:
    actions = d_router.on_timer(now_s)
    return {str(item.to): item.data for item in actions if isinstance(item, SendMessage) and item.kind == "probe"}


def _answer(d_router: DRouter, data: bytes, site: str, now_s: float) -> None:
    probe = codec.decode(data)
    assert isinstance(probe, Probe)
    answer = Probe(site, probe.sequence, probe.sent_s, is_reply=True)
    d_router.on_message(codec.encode(answer), WEST, now_s)


def _events(d_router: DRouter, now_s: float) -> list[tuple[str, str]]:
    return [(item.event, item.site) for item in d_router.on_timer(now_s) if isinstance(item, Noticed)]


@pytest.fixture
def answered() -> DRouter:
    """A D-Router whose peer in the west answered a probe at 1.02 s."""
    d_router = _router()
    _answer(d_router, _probes(d_router, 1.0)[str(WEST)], "west", 1.02)
    return d_router


def test_a_control_process_that_is_gone_leaves_the_path_alive_and_measured(answered: DRouter) -> None:
    for second in range(2, 12):
        answered.on_returned(_probes(answered, second)[str(WEST)], WEST, second + 0.04)
    path = answered.paths["west"]
    assert path.is_reachable
    assert path.is_silent
    assert path.rtt_s == pytest.approx(0.04)
    assert answered.counters["probes_returned"] == 10
    assert answered.counters["path_lost"] == 0
    assert answered.counters["control_silent"] == 1


def test_it_is_noticed_when_it_falls_silent_and_when_it_is_back(answered: DRouter) -> None:
    answered.on_returned(_probes(answered, 2.0)[str(WEST)], WEST, 2.04)
    assert _events(answered, 2.1) == [("control_silent", "west")]
    data = _probes(answered, 3.0)[str(WEST)]
    _answer(answered, data, "west", 3.02)
    assert _events(answered, 3.1) == [("control_back", "west")]


def test_a_dead_path_is_lost_for_nothing_comes_back(answered: DRouter) -> None:
    events = [event for second in range(2, 9) for event in _events(answered, float(second))]
    assert events == [("path_lost", "west")]
    assert not answered.paths["west"].is_silent


def test_one_that_has_not_begun_yet_is_not_silent() -> None:
    d_router = _router()
    d_router.on_returned(_probes(d_router, 1.0)[str(WEST)], WEST, 1.04)
    assert not d_router.paths["west"].is_silent
    assert _events(d_router, 1.5) == []


@pytest.mark.parametrize("what", ["another address", "changed", "cut short", "empty", "long ago", "never sent"])
def test_what_is_no_quotation_of_a_probe_of_late_is_counted_and_changes_nothing(what: str, answered: DRouter) -> None:
    data, to = _probes(answered, 2.0)[str(WEST)], WEST
    if what == "another address":
        to = ip_address("10.9.0.1")
    if what == "changed":
        data = data[:-1] + bytes([data[-1] ^ 1])
    if what == "cut short":
        data = data[:10]
    if what == "empty":
        data = b""
    if what == "never sent":
        data = codec.encode(Probe("east", 99, 2.0))
    if what == "long ago":
        for second in range(3, 9):
            _probes(answered, float(second))
    before = Counter(answered.counters), answered.paths["west"].unanswered
    answered.on_returned(data, to, 9.0)
    assert answered.counters - before[0] == Counter(messages_returned=1)
    assert answered.paths["west"].unanswered == before[1]
    assert not answered.paths["west"].is_silent


def test_what_a_probe_waited_at_either_end_is_not_the_path(answered: DRouter) -> None:
    """The other end answers 150 ms after the probe came, and the answer is looked at 180 ms after it came."""
    probe = _probes(answered, 2.0)[str(WEST)]
    other = DRouter(DRouterConfig("west", (), (Peer("east", EAST, 10.0),)), Random(1))
    (answer,) = other.on_message(probe, EAST, 2.17, arrived_s=2.02)
    assert isinstance(answer, SendMessage)
    answered.on_message(answer.data, WEST, 2.37, arrived_s=2.19)
    assert list(answered.paths["west"]._recent_s)[-1] == pytest.approx(0.04)


def test_an_answer_that_claims_to_have_waited_longer_than_it_was_away_is_not_believed(answered: DRouter) -> None:
    probe = codec.decode(_probes(answered, 2.0)[str(WEST)])
    assert isinstance(probe, Probe)
    answer = Probe("west", probe.sequence, probe.sent_s, is_reply=True, held_s=1.0)
    answered.on_message(codec.encode(answer), WEST, 2.5)
    assert answered.paths["west"].replies == 1
    assert answered.counters["probes_unexpected"] == 1
