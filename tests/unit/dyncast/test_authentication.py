"""Who is believed: the trailer, the replay window, and what a D-Router refuses under which name."""

from __future__ import annotations

import hashlib
import hmac
import struct
from ipaddress import ip_network

import pytest

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.events import MetricsReceived
from testbed.dyncast.messages import codec, reports
from testbed.dyncast.messages.authentication import Authenticator, Identity, Refused, ReplayWindow, Role
from testbed.dyncast.messages.codec import MessageType
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.net.addresses import Address
from testbed.net.token_bucket import Rate
from tests.authentication_samples import (
    AGENT_HERE,
    AGENT_THERE,
    KEYS,
    ROUTER_HERE,
    ROUTER_THERE,
    node,
    secure_d_router,
    signed_probe,
    signed_report,
)
from tests.dyncast_samples import (
    D_SID,
    FAR,
    FAR6,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    of_kind,
    only,
    report_bytes,
    told,
)

_RAW = RawMetrics(4, queue_limit=50)
_BUSY = RawMetrics(4, queue_limit=50, sessions=4, utilisation=1.0)


def sessions(router: DRouter, d_bid: Address = NEAR) -> int | None:
    binding = router.bindings.get(D_SID, d_bid)
    return binding.raw.sessions if binding and binding.raw else None


# -- on the wire -------------------------------------------------------------------------------------


def test_the_trailer_is_what_the_module_says() -> None:
    report = report_bytes(HERE, 7, 1.0, told(NEAR, _RAW))
    agent = node(AGENT_HERE, epoch=5)
    agent.sign(report)
    signed = agent.sign(report)
    assert signed[2] == MessageType.REPORT | 0x80
    assert signed[:2] + bytes([MessageType.REPORT]) + signed[3 : len(report)] == report
    assert struct.unpack("!QQ", signed[len(report) : len(report) + 16]) == (5, 2)
    assert signed[-32:] == hmac.new(KEYS[AGENT_HERE], b"\0" + signed[:-32], hashlib.sha256).digest()
    assert len(signed) == len(report) + 48


def test_the_tag_of_a_probe_names_its_receiver() -> None:
    signed = node(ROUTER_THERE).sign(codec.encode(Probe(THERE, 1, 1.0)), HERE)
    named = bytes([len(HERE)]) + HERE.encode()
    assert signed[-32:] == hmac.new(KEYS[ROUTER_THERE], named + signed[:-32], hashlib.sha256).digest()


def test_the_largest_report_and_its_trailer_fit_a_packet() -> None:
    for family, headers in ((4, 20 + 8), (6, 40 + 8)):
        first = FAR if family == 4 else FAR6
        whole = reports.Report("s", 0, 1.0, tuple(told(first + number, _RAW) for number in range(100)))
        for part in codec.split(whole, 1):
            assert len(node(AGENT_HERE).sign(codec.encode(part))) + headers <= 1500


def test_a_node_without_a_key_cannot_begin() -> None:
    with pytest.raises(ValueError, match="no key of the D-Router of site 'west' itself"):
        Authenticator(ROUTER_THERE, {AGENT_THERE: b"k" * 32}, 1)


# -- the replay window -------------------------------------------------------------------------------


def test_messages_that_overtake_each_other_are_each_let_in_once() -> None:
    window = ReplayWindow()
    assert [window.admit(1, number) for number in (3, 1, 2, 7, 5, 4, 6)] == [True] * 7
    assert not any(window.admit(1, number) for number in range(1, 8))
    assert window.admit(1, 8)


def test_what_is_older_than_the_window_is_refused_seen_or_not() -> None:
    window = ReplayWindow()
    assert window.admit(1, 5000)
    assert window.admit(1, 5000 - 1023)
    assert not window.admit(1, 5000 - 1024)


def test_a_leap_forgets_nothing_that_could_come_again() -> None:
    window = ReplayWindow()
    assert [window.admit(1, number) for number in (1, 10**12)] == [True, True]
    assert not window.admit(1, 1)
    assert window.admit(1, 10**12 - 1)


def test_a_node_that_began_anew_counts_from_one_and_its_former_life_is_over() -> None:
    window = ReplayWindow()
    assert window.admit(1, 100)
    assert window.admit(2, 1)
    assert not window.admit(2, 1)
    assert not window.admit(1, 101)


# -- the D-Router ------------------------------------------------------------------------------------


def test_what_an_agent_says_is_believed_and_passed_on_as_it_is() -> None:
    router = secure_d_router()
    signed = signed_report(node(AGENT_HERE), HERE, 1, 0.0, told(NEAR, _RAW))
    passed_on = only(router.on_message(signed, NEAR, 0.1), SendMessage)
    assert (passed_on.to, passed_on.data) == (PEER.address, signed)
    assert [binding.d_bid for binding in router.bindings.usable(D_SID, 0.1)] == [NEAR]
    assert router.counters == {}


def test_a_peer_verifies_the_agent_s_own_tag() -> None:
    here = Peer(HERE, NEAR, path_cost_ms=20.0)
    router, other = secure_d_router(), d_router(site=THERE, peers=(here,), authenticator=node(ROUTER_THERE))
    signed = signed_report(node(AGENT_HERE), HERE, 1, 0.0, told(NEAR, _RAW))
    passed_on = only(router.on_message(signed, NEAR, 0.1), SendMessage)
    other.on_message(passed_on.data, NEAR, 0.2)
    assert [binding.site for binding in other.bindings.usable(D_SID, 0.2)] == [HERE]


_WELL = signed_report(node(AGENT_HERE), HERE, 2, 100.0, told(NEAR, _BUSY))
_FORGER = node(AGENT_HERE, key=b"?" * 32)


@pytest.mark.parametrize(
    ("data", "counter", "reason"),
    [
        (report_bytes(HERE, 2, 100, told(NEAR, _BUSY)), "messages_unauthenticated", "unauthenticated"),
        (signed_report(_FORGER, HERE, 2, 100, told(NEAR, _BUSY)), "messages_forged",
         "forged: not with the key of the agent of site 'east'"),
        (_WELL.replace(NEAR.packed, FAR.packed), "messages_forged", "forged: "),
        (_WELL[:-1], "messages_forged", "forged: "),
        (_WELL[:40], "messages_malformed", "malformed: cut short in the trailer"),
        (b"junk", "messages_malformed", "malformed: "),
        (report_bytes(HERE, 2, 100, told(NEAR, _BUSY))[:-1], "messages_malformed", "malformed: "),
        (node(AGENT_HERE).sign(report_bytes(HERE, 2, 100)[:-1]), "messages_malformed", "malformed: "),
        (signed_report(node(AGENT_HERE), HERE, 2, 89, told(NEAR, _BUSY)), "messages_stale", "stale: 11.0 s old"),
        (signed_report(node(AGENT_HERE), "south", 2, 100, told(NEAR, _BUSY)), "messages_unknown_sender",
         "no key of the agent of site 'south'"),
        (signed_report(node(AGENT_HERE), THERE, 2, 100, told(NEAR, _BUSY)), "messages_forged",
         "forged: not with the key of the agent of site 'west'"),
        (node(ROUTER_HERE).sign(report_bytes(HERE, 2, 100, told(NEAR, _BUSY))), "messages_forged", "forged: "),
        (signed_report(node(AGENT_HERE), HERE, 2, 100, told(FAR, _BUSY)), "reports_foreign_d_bid",
         "10.2.0.20 is not of site 'east'"),
        (signed_report(node(AGENT_HERE), HERE, 2, 100, told(NEAR, _BUSY), told(FAR, _BUSY)), "reports_foreign_d_bid",
         "10.2.0.20 is not of site 'east'"),
        (signed_report(node(AGENT_HERE, epoch=0), HERE, 2, 100, told(NEAR, _BUSY)), "messages_replayed", "replayed"),
    ],
)  # fmt: skip
def test_what_is_refused_is_counted_recorded_and_changes_nothing(data: bytes, counter: str, reason: str) -> None:
    router = secure_d_router(prefixes=(ip_network("10.1.0.0/16"),))
    agent = node(AGENT_HERE, epoch=1)
    agent.sign(b"\0\0\0")  # its first is still on its way when its second arrives
    router.on_message(signed_report(agent, HERE, 1, 99.0, told(NEAR, _RAW)), NEAR, 99)
    before = router.bindings.all()
    record = only(router.on_message(data, NEAR, 100), MetricsReceived)
    assert (record.event, record.reason[: len(reason)]) == ("dropped", reason)
    assert router.counters == {counter: 1}
    assert router.bindings.all() == before


def test_a_replay_is_refused_whatever_kinds_of_message_came_in_between() -> None:
    router = secure_d_router()
    prober = node(ROUTER_THERE)
    probe = signed_probe(prober, Probe(THERE, 1, 100.0))
    reply = signed_probe(prober, Probe(THERE, 9, 100.0, is_reply=True))
    assert router.on_message(reply, PEER.address, 100.01) == []  # it overtook the probe
    assert only(router.on_message(probe, PEER.address, 100.02), SendMessage).kind == "probe_reply"
    for data in (probe, reply):
        assert only(router.on_message(data, PEER.address, 100.03), MetricsReceived).reason == "replayed"
    assert router.paths[THERE].replies == 1
    assert router.counters == {"messages_replayed": 2}


def test_a_reply_to_another_d_router_tells_nothing_here() -> None:
    router = secure_d_router()
    reply = signed_probe(node(ROUTER_THERE), Probe(THERE, 1, 100.0, is_reply=True), receiver="south")
    router.on_message(reply, PEER.address, 100.065)
    assert router.counters == {"messages_forged": 1}
    assert router.paths[THERE].rtt_s is None


def test_probes_and_replies_are_signed_for_the_one_they_go_to() -> None:
    south = Identity(Role.D_ROUTER, "south")
    router = secure_d_router(peers=(PEER, Peer("south", FAR, 5.0)))
    there, elsewhere = node(ROUTER_THERE), Authenticator(south, {**KEYS, south: b"s" * 32}, 1)
    probes = {message.to: message.data for message in of_kind(router.on_timer(100), SendMessage)}
    assert codec.decode(there.verify(probes[PEER.address]).data) == Probe(HERE, 1, 100)
    assert codec.decode(elsewhere.verify(probes[FAR]).data) == Probe(HERE, 1, 100)
    with pytest.raises(Refused, match="forged"):
        elsewhere.verify(probes[PEER.address])
    (answer,) = router.on_message(signed_probe(there, Probe(THERE, 5, 100.0)), PEER.address, 100.1)
    assert isinstance(answer, SendMessage)
    assert codec.decode(there.verify(answer.data).data) == Probe(HERE, 5, 100.0, is_reply=True)


def test_an_agent_that_began_anew_is_believed_at_once() -> None:
    router = secure_d_router()
    agent = node(AGENT_HERE, epoch=1)
    for sequence in range(1, 50):
        router.on_message(signed_report(agent, HERE, sequence, 100.0, told(NEAR, _RAW)), NEAR, 100)
    again = node(AGENT_HERE, epoch=2)
    router.on_message(signed_report(again, HERE, 1, 100.5, told(NEAR, _BUSY)), NEAR, 100.5)
    assert sessions(router) == _BUSY.sessions
    router.on_message(signed_report(agent, HERE, 50, 100.6, told(NEAR, _RAW)), NEAR, 100.6)
    assert sessions(router) == _BUSY.sessions
    assert router.counters == {"messages_replayed": 1}


def test_a_report_that_was_overtaken_is_authentic_and_still_no_news() -> None:
    router = secure_d_router()
    agent = node(AGENT_HERE)
    first = signed_report(agent, HERE, 1, 100.0, told(NEAR, _BUSY))
    second = signed_report(agent, HERE, 2, 101.0, told(NEAR, _RAW))
    for data in (second, first):
        router.on_message(data, NEAR, 101.1)
    assert sessions(router) == _RAW.sessions
    assert router.counters == {"reports_overtaken": 1}


def test_a_d_router_that_began_anew_is_told_nothing_older_than_a_lifetime() -> None:
    old = [signed_report(node(AGENT_HERE), HERE, 1, sent_s, told(NEAR, _BUSY)) for sent_s in (80.0, 89.0, 95.0)]
    heard = []
    for data in old:
        router = secure_d_router(metric_lifetime_s=10)
        router.on_message(data, NEAR, 100)
        heard.append(len(router.bindings.all()))
    assert heard == [0, 0, 1]


@pytest.mark.parametrize("authenticated", [True, False])
def test_an_agent_that_tells_too_much_is_held_to_its_rate(authenticated: bool) -> None:
    rate = Rate(per_s=2, burst=3)
    router = secure_d_router(report_rate=rate) if authenticated else d_router(report_rate=rate)
    agents = {HERE: node(AGENT_HERE), THERE: node(AGENT_THERE)}

    def tell(site: str, sequence: int, now_s: float) -> None:
        plain = report_bytes(site, sequence, now_s, told(NEAR if site == HERE else FAR, _RAW))
        router.on_message(agents[site].sign(plain) if authenticated else plain, NEAR, now_s)

    for sequence in range(1, 11):
        tell(HERE, sequence, 100.0)
    assert router.counters == {"reports_rate_limited": 7}
    tell(THERE, 1, 100.0)  # each agent has a rate of its own
    tell(HERE, 11, 100.5)
    tell(HERE, 12, 100.5)
    assert router.counters == {"reports_rate_limited": 8}
    told_last = router.bindings.get(D_SID, NEAR)
    assert told_last is not None and told_last.received_s == 100.5


def test_without_authentication_everything_well_formed_is_believed_but_foreign_d_bids() -> None:
    router = d_router(prefixes=(ip_network("10.1.0.0/16"),))
    router.on_message(report_bytes(HERE, 1, 0, told(NEAR, _RAW)), NEAR, 1000)
    assert sessions(router) == _RAW.sessions
    router.on_message(report_bytes(HERE, 2, 0, told(FAR, _RAW)), NEAR, 1000)
    assert router.counters == {"reports_foreign_d_bid": 1}
    router.on_message(report_bytes(THERE, 1, 0, told(FAR, _RAW)), FAR, 1000)  # nobody said what that site has
    assert sessions(router, FAR) == _RAW.sessions
