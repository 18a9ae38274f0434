"""Only what a node signed is believed, once, whoever repeats, mixes up or damages what it sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.actions import Output
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.admission import RECORDED_RATE
from testbed.dyncast.messages.authentication import Authenticator, Identity, Refused, ReplayWindow, Role, Verified
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.net.token_bucket import Rate, TokenBucket
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
from tests.dyncast_samples import FAR, HERE, NEAR, PEER, THERE, report_bytes, told

_RAW = RawMetrics(4, queue_limit=50, sessions=2, service_time_s=0.1)
_EVIL = RawMetrics(1000, queue_limit=50, service_time_s=0.001)
_SITE = st.text(max_size=40)
_MESSAGE = st.builds(
    lambda site, sequence: codec.encode(Probe(site, sequence, 1.0)), st.just(HERE), st.integers(0, 2**32 - 1)
)


def verified(by: Authenticator, data: bytes) -> Verified | None:
    try:
        return by.verify(data)
    except Refused:
        return None


@given(_MESSAGE, st.integers(0, 2**64 - 1))
def test_what_is_signed_is_verified_once(message: bytes, epoch: int) -> None:
    receiver = node(ROUTER_THERE)
    signed = node(ROUTER_HERE, epoch).sign(message, THERE)
    assert verified(receiver, signed) == Verified(message, epoch)
    assert verified(receiver, signed) is None


@given(_MESSAGE, _SITE, _SITE)
def test_only_the_receiver_that_is_named_believes(message: bytes, named: str, receiver: str) -> None:
    hearing = Identity(Role.D_ROUTER, receiver)
    accepted = verified(Authenticator(hearing, {hearing: b"r" * 32, **KEYS}, 1), node(ROUTER_HERE).sign(message, named))
    assert (accepted is not None) == (named == receiver)


@given(st.data())
def test_no_change_of_a_signed_message_is_believed(data: st.DataObject) -> None:
    signed = bytearray(node(AGENT_HERE).sign(report_bytes(HERE, 1, 1.0, told(NEAR, _RAW))))
    for position in data.draw(st.sets(st.integers(0, len(signed) - 1), min_size=1, max_size=5)):
        signed[position] ^= data.draw(st.integers(1, 255))
    assert verified(node(ROUTER_HERE), bytes(signed)) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3000)), max_size=300))
def test_a_window_lets_nothing_in_twice_and_everything_recent_in_once(messages: list[tuple[int, int]]) -> None:
    window = ReplayWindow()
    seen: set[tuple[int, int]] = set()
    for epoch, number in messages:
        newest_epoch, newest = max(seen, default=(-1, 0))
        recent = epoch > newest_epoch or (epoch == newest_epoch and number > newest - 1024)
        assert window.admit(epoch, number) == (recent and (epoch, number) not in seen)
        if recent:
            seen.add((epoch, number))


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 10), min_size=1, max_size=200).map(sorted),
)
def test_a_bucket_gives_never_more_than_its_rate_and_burst(per_s: float, burst: int, times_s: list[float]) -> None:
    bucket = TokenBucket(Rate(per_s, burst))
    taken = [time_s for time_s in times_s if bucket.take(time_s)]
    assert taken[0] == times_s[0]
    for first, start_s in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + per_s * (taken[last] - start_s) + 1e-6


@given(st.floats(0.1, 100), st.integers(1, 10))
def test_who_keeps_to_the_rate_is_never_refused(per_s: float, burst: int) -> None:
    bucket = TokenBucket(Rate(per_s, burst))
    assert all(bucket.take(1000 + number * 1.0001 / per_s) for number in range(200))


# -- everything an attacker can send -----------------------------------------------------------------

_NOW_S = 1000.0


class Attacker:
    """Who has heard everything, and has no key but one of its own; and an agent that says too much."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        agent, there, prober = node(AGENT_HERE), node(AGENT_THERE), node(ROUTER_THERE)
        self.heard = [
            *(signed_report(agent, HERE, number, _NOW_S, told(NEAR, _RAW)) for number in range(1, 40)),
            *(signed_report(there, THERE, number, _NOW_S, told(FAR, _RAW)) for number in range(1, 40)),
            *(signed_probe(prober, Probe(THERE, number, _NOW_S)) for number in range(1, 10)),
            *(signed_probe(prober, Probe(THERE, number, _NOW_S, is_reply=True)) for number in range(1, 10)),
        ]
        self.for_another = [
            signed_probe(node(ROUTER_THERE, 2), Probe(THERE, 1, _NOW_S, is_reply=number % 2 == 0), "south")
            for number in range(10)
        ]
        self._own = node(AGENT_HERE, epoch=2**40, key=bytes(32))
        self._traitor = node(AGENT_HERE, epoch=2)
        self._ways: list[Callable[[], bytes]] = [
            self.forged, self.replayed, self.truncated, self.flipped, self.random, self.bare, self.foreign, self.stale,
            self.redirected, self.extended,
        ]  # fmt: skip

    def message(self) -> bytes:
        return self._rng.choice(self._ways)()

    def forged(self) -> bytes:
        bindings = (told(self._rng.choice((NEAR, FAR)), self._rng.choice((_EVIL, None))),)
        site = self._rng.choice((HERE, THERE, "south", ""))
        return signed_report(self._own, site, self._rng.getrandbits(32), _NOW_S, *bindings)

    def replayed(self) -> bytes:
        return self._rng.choice(self.heard)

    def truncated(self) -> bytes:
        heard = self.replayed()
        return heard[: self._rng.randrange(len(heard))]

    def flipped(self) -> bytes:
        heard = bytearray(self.replayed())
        heard[self._rng.randrange(len(heard))] ^= 1 << self._rng.randrange(8)
        return bytes(heard)

    def random(self) -> bytes:
        start = self._rng.choice((b"", bytes([codec.MAGIC, codec.VERSION]), self.replayed()[:20]))
        return start + self._rng.randbytes(self._rng.randrange(300))

    def bare(self) -> bytes:
        state = self._rng.choice(list(State))
        return report_bytes(HERE, self._rng.getrandbits(32), _NOW_S, told(NEAR, None if state is State.DOWN else _EVIL))

    def foreign(self) -> bytes:
        return signed_report(self._traitor, HERE, self._rng.getrandbits(32), _NOW_S, told(FAR, _EVIL))

    def stale(self) -> bytes:
        return signed_report(self._traitor, HERE, self._rng.getrandbits(32), _NOW_S - 60, told(NEAR, _EVIL))

    def redirected(self) -> bytes:
        return self._rng.choice(self.for_another)

    def extended(self) -> bytes:
        return self.replayed() + self._rng.randbytes(self._rng.randrange(1, 60))


def attack(count: int, seed: int) -> Counter[str]:
    """Let an attacker send so many messages; return what was counted, having seen that nothing else changed."""
    attacker = Attacker(seed)
    prefixes = (ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
    peer = replace(PEER, prefixes=prefixes[1:])
    router = secure_d_router(prefixes=prefixes[:1], peers=(peer,))
    for data in attacker.heard:
        router.on_message(data, NEAR, _NOW_S)
    assert router.counters == {}
    bindings, path = router.bindings.all(), vars(router.paths[THERE]).copy()
    noted: list[Output] = []
    for _ in range(count):
        noted += router.on_message(attacker.message(), FAR, _NOW_S + 1)
    assert {(type(action).__name__, getattr(action, "event", "")) for action in noted} == {
        ("MetricsReceived", "dropped")
    }
    assert len(noted) == min(count, RECORDED_RATE.burst)  # for it all comes at once
    assert router.bindings.all() == bindings
    assert vars(router.paths[THERE]) == path
    return router.counters


_REASONS = {
    "messages_malformed", "messages_unauthenticated", "messages_unknown_sender", "messages_forged", "messages_replayed",
    "messages_stale", "reports_foreign_d_bid", "reports_rate_limited",
}  # fmt: skip


@given(st.integers(0, 2**32))
def test_nothing_that_an_attacker_sends_is_believed(seed: int) -> None:
    assert attack(100, seed).total() == 100


@pytest.mark.slow
def test_of_100000_updates_of_an_attacker_none_is_believed_and_all_are_counted() -> None:
    counted = attack(100_000, seed=1)
    assert counted.total() == 100_000
    assert counted.keys() >= _REASONS
    assert min(counted[reason] for reason in _REASONS) >= 1000
