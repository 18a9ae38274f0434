"""Probes that come back: the path is alive, the control process at its end is not; and what is believed of them."""

from __future__ import annotations

import math
from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest

from testbed.dyncast.actions import Action, SendMessage
from testbed.dyncast.events import Noticed
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.net.addresses import Address

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
    assert answer.is_deferrable
    answered.on_message(answer.data, WEST, 2.37, arrived_s=2.19)
    assert list(answered.paths["west"]._recent_s)[-1] == pytest.approx(0.04)


def test_an_answer_that_claims_to_have_waited_longer_than_it_was_away_is_not_believed(answered: DRouter) -> None:
    probe = codec.decode(_probes(answered, 2.0)[str(WEST)])
    assert isinstance(probe, Probe)
    answer = Probe("west", probe.sequence, probe.sent_s, is_reply=True, held_s=1.0)
    answered.on_message(codec.encode(answer), WEST, 2.5)
    assert answered.paths["west"].replies == 1
    assert answered.counters["probes_unexpected"] == 1


def _passed_on(messages: list[Action], source: Address, others: dict[str, DRouter], now_s: float) -> int:
    """Have messages arrive at once, and what is sent about them; return how many they were."""
    count = 0
    for message in messages:
        if isinstance(message, SendMessage):
            node = others[str(message.to)]
            count += 1 + _passed_on(list(node.on_message(message.data, source, now_s)), message.to, others, now_s)
    return count


def _pair(phase_s: float, seconds: int, *, east_ends_s: float = math.inf) -> tuple[DRouter, DRouter, list[int]]:
    """Two D-Routers that began so far apart; returns them, and how many messages there were each second."""
    east = DRouter(DRouterConfig("east", (), (Peer("west", WEST, 10.0),)), Random(1))
    west = DRouter(DRouterConfig("west", (), (Peer("east", EAST, 10.0),)), Random(1))
    messages = [0] * seconds
    for tick in range(100 * seconds):
        now_s = tick / 100
        alive = {str(EAST): east, str(WEST): west} if now_s < east_ends_s else {str(WEST): west}
        for address, node, begin_s in ((EAST, east, 0.0), (WEST, west, phase_s)):
            if str(address) in alive and now_s >= begin_s and now_s >= node.next_timer_s():
                sent = [item for item in node.on_timer(now_s) if isinstance(item, SendMessage)]
                if str(EAST) in alive:
                    messages[tick // 100] += _passed_on(sent, address, alive, now_s)
    return east, west, messages


@pytest.mark.parametrize("phase_s", [0.0, 0.07, 0.3, 0.5, 0.77, 0.99])
def test_three_messages_in_an_interval_measure_a_path_from_both_ends(phase_s: float) -> None:
    east, west, messages = _pair(phase_s, 20)
    assert set(messages[3:]) == {3}
    for path in (east.paths["west"], west.paths["east"]):
        assert path.probes_sent == path.replies
        assert path.replies >= 18


@pytest.mark.parametrize("phase_s", [0.0, 0.07, 0.3, 0.5, 0.77, 0.99])
@pytest.mark.parametrize("ends_s", [10.05, 10.35, 10.6, 10.95])
def test_an_end_that_nobody_probes_any_more_probes_by_itself_as_often(phase_s: float, ends_s: float) -> None:
    _, west, _ = _pair(phase_s, 16, east_ends_s=ends_s)
    path = west.paths["east"]
    assert path.answered_s is not None
    assert path.answered_s > ends_s - 1.2
    assert path.unanswered >= 5


def test_an_answer_that_probes_is_answered_with_its_own_time_and_says_for_how_long_it_lay(answered: DRouter) -> None:
    probe = codec.decode(_probes(answered, 2.0)[str(WEST)])
    assert isinstance(probe, Probe)
    asking = Probe("west", probe.sequence, probe.sent_s, is_reply=True, held_s=0.1, asked_s=7.5, asked_sequence=99)
    (answer,) = answered.on_message(codec.encode(asking), WEST, 2.37, arrived_s=2.12)
    assert isinstance(answer, SendMessage)
    assert (answer.to, answer.kind) == (WEST, "probe_reply")
    assert codec.decode(answer.data) == Probe("east", 99, 7.5, is_reply=True, held_s=pytest.approx(0.25))
    assert list(answered.paths["west"]._recent_s)[-1] == pytest.approx(0.02)


def test_who_was_probed_a_moment_ago_or_asks_from_elsewhere_is_answered_and_not_probed(answered: DRouter) -> None:
    probes = {"elsewhere": (SOUTH, 1.8), "a moment ago": (WEST, 1.3), "about time": (WEST, 1.8)}
    asked = {}
    for name, (source, now_s) in probes.items():
        (answer,) = answered.on_message(codec.encode(Probe("west", 1, now_s)), source, now_s)
        assert isinstance(answer, SendMessage)
        message = codec.decode(answer.data)
        assert isinstance(message, Probe)
        asked[name] = message.asked_s
    assert asked == {"elsewhere": None, "a moment ago": None, "about time": 1.8}
    assert answered.paths["west"].probes_sent == 2


def test_an_answer_that_probes_may_come_back_too(answered: DRouter) -> None:
    (answer,) = answered.on_message(codec.encode(Probe("west", 1, 1.7)), WEST, 1.8)
    assert isinstance(answer, SendMessage)
    answered.on_returned(answer.data, WEST, 1.83)
    assert answered.paths["west"].is_silent
    assert list(answered.paths["west"]._recent_s)[-1] == pytest.approx(0.03)
