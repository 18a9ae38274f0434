"""Messages of the controller survive the wire; shares sum up, and only usable instances get any."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.control.controller import apportion
from testbed.dyncast.control.role import Control
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import CodecError, Message
from testbed.dyncast.messages.control_messages import (
    WHOLE,
    AssignedFlows,
    IngressStatus,
    Load,
    Loads,
    Path,
    Share,
    Shares,
    loads_parts,
    shares_parts,
    status_parts,
)
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.policies import POLICIES
from testbed.net import addresses
from tests.dyncast_samples import D_SID, FAR, HERE, NEAR, PEER, THERE, d_router, report_bytes, service, told

_SITE = st.text(max_size=40)
_U32 = st.integers(0, 2**32 - 2)
_SECONDS = _U32.map(lambda us: us / 1e6)
_SENT_S = st.integers(5_000, 10**6).map(float)
_BINDING = st.sampled_from((4, 6)).flatmap(lambda v: st.tuples(st.ip_addresses(v=v), st.ip_addresses(v=v)))
_VOLATILE = st.builds(
    RawMetrics,
    workers=st.integers(1, 2**32 - 1),
    busy_workers=_U32,
    queue_length=_U32,
    sessions=_U32,
    sessions_started=_U32,
    utilisation=st.floats(0, 1, width=32),
)
_PATHS = st.builds(Path, _SITE, _U32.map(lambda us: us / 1e3), _SECONDS, _SECONDS)
_DEAD_PATHS = st.builds(
    Path, _SITE, _U32.map(lambda us: us / 1e3), st.just((2**32 - 1) / 1e6), _SECONDS, st.just(False)
)
_ASSIGNED = st.builds(lambda of, flows: AssignedFlows(*of, flows), _BINDING, _U32)
_SHARES = st.builds(
    lambda of, egress, state, share: Share(*of, egress, state, share, 0.0),
    _BINDING, _SITE, st.sampled_from(State), st.integers(0, WHOLE),
)  # fmt: skip
_LOADS = st.builds(lambda of, raw: Load(*of, 0.0, raw), _BINDING, _VOLATILE)


@st.composite
def _messages(draw: st.DrawFn) -> Message:
    site, sequence, sent_s = draw(_SITE), draw(_U32), draw(_SENT_S)
    several = {"max_size": 6}
    kind = draw(st.sampled_from((IngressStatus, Shares, Loads)))
    if kind is IngressStatus:
        paths, given = draw(st.lists(_PATHS | _DEAD_PATHS, **several)), draw(st.lists(_ASSIGNED, **several))
        return IngressStatus(site, sequence, sent_s, tuple(paths), tuple(given))
    if kind is Shares:
        shares = [Share(*vars(item).values()) for item in draw(st.lists(_SHARES, **several))]
        measured = tuple(Share(*(*list(vars(item).values())[:-1], sent_s - 4.0)) for item in shares)
        return Shares(site, sequence, sent_s, measured, draw(st.integers(0, 3)), 4)
    loads = tuple(Load(item.d_sid, item.d_bid, sent_s - 0.5, item.raw) for item in draw(st.lists(_LOADS, **several)))
    return Loads(site, sequence, sent_s, loads, draw(st.booleans()))


@given(_messages())
def test_what_is_encoded_is_decoded(message: Message) -> None:
    received = codec.decode(codec.encode(message))
    assert type(received) is type(message)
    for name, value in vars(message).items():
        if name == "paths":
            assert [path.site for path in received.paths] == [path.site for path in value]  # type: ignore[union-attr]
            assert [path.is_reachable for path in received.paths] == [  # type: ignore[union-attr]
                path.is_reachable for path in value
            ]
            for there, here in zip(received.paths, value, strict=True):  # type: ignore[union-attr]
                assert there.cost_s == pytest.approx(here.cost_s, abs=1e-6)
                assert there.path_cost_ms == pytest.approx(here.path_cost_ms, abs=1e-3)
        else:
            assert getattr(received, name) == value


@given(_messages())
def test_every_truncation_is_refused(message: Message) -> None:
    data = codec.encode(message)
    for length in range(len(data)):
        with pytest.raises(CodecError):
            codec.decode(data[:length])


@given(_messages(), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6))
def test_flipped_bytes_raise_codec_error_only(message: Message, changes: list[tuple[int, int]]) -> None:
    data = bytearray(codec.encode(message))
    for position, value in changes:
        data[position % len(data)] = value
    with suppress(CodecError):
        codec.decode(bytes(data))


@given(st.lists(_PATHS, max_size=150), st.lists(_ASSIGNED, max_size=80), st.lists(_SHARES, max_size=80))
def test_parts_are_the_whole_and_fit_a_packet(
    paths: list[Path], given: list[AssignedFlows], shares: list[Share]
) -> None:
    site = "s" * 40
    statuses = status_parts(site, 7, 1.0, paths, given)
    assert [path for part in statuses for path in part.paths] == paths
    assert [item for part in statuses for item in part.assigned] == given
    decisions = shares_parts(site, 7, 1.0, shares)
    assert [share for part in decisions for share in part.shares] == shares
    assert [part.part for part in decisions] == list(range(len(decisions)))
    raw = RawMetrics(4, utilisation=0.5)
    handed_out = loads_parts(site, 7, 1.0, [Load(item.d_sid, item.d_bid, 1.0, raw) for item in shares])
    for parts in (statuses, decisions, handed_out):
        assert [part.sequence for part in parts] == list(range(7, 7 + len(parts)))
        assert max(len(codec.encode(part)) for part in parts) <= 1400


@given(st.dictionaries(st.integers(0, 2**32 - 1).map(ip_address), st.integers(0, 10_000), max_size=40))
def test_apportioned_weights_sum_up_and_keep_their_order(weights: dict[addresses.Address, int]) -> None:
    shares = apportion(weights, WHOLE)
    assert shares.keys() == {item for item, weight in weights.items() if weight}
    assert sum(shares.values()) == (WHOLE if shares else 0)
    total = sum(weights.values())
    for item, share in shares.items():
        assert share >= 1
        assert share == pytest.approx(weights[item] * WHOLE / total, abs=len(weights) + 1)


def test_of_more_instances_than_there_is_to_share_the_heaviest_get_something() -> None:
    assert apportion({NEAR: 1, FAR: 5, FAR + 1: 3}, 2) == {FAR: 1, FAR + 1: 1}


_STATES = st.sampled_from(("up", "draining", "down", "stale", "unreachable"))


@given(
    st.sampled_from(sorted(POLICIES.keys() - {"oracle"})),
    st.lists(st.tuples(_STATES, st.integers(0, 100), st.integers(1, 8)), min_size=1, max_size=6),
    st.lists(st.integers(0, 10_000), max_size=6),
)
def test_shares_sum_up_and_only_usable_instances_get_some(
    policy: str, instances: list[tuple[str, int, int]], flows: list[int]
) -> None:
    """Whatever was told: the controller is HERE, the ingress at THERE, each instance at a site of its own."""
    sites = [f"site-{number}" for number in range(len(instances))]
    peers = [PEER, *(PEER.__class__(site, PEER.address + 1 + number, 10.0) for number, site in enumerate(sites))]
    control = Control("centralized", HERE, interval_s=1.0, lifetime_s=10.0)
    controller = d_router(service(policy=policy), peers=tuple(peers), control=control)
    follower = d_router(service(policy=policy), site=THERE, peers=(*peers[1:], _peer_here()), control=control)
    states = {"draining": State.DRAINING, "down": State.DOWN}
    d_bids = [FAR + number for number in range(len(instances))]
    for number, (state, sessions, workers) in enumerate(instances):
        raw = None if state == "down" else RawMetrics(workers, sessions=sessions, queue_limit=50, service_time_s=0.1)
        binding = told(d_bids[number], raw)
        binding = binding.__class__(D_SID, d_bids[number], states.get(state, State.UP), raw)
        sent_s = 80.0 if state == "stale" else 100.0
        controller.on_message(report_bytes(sites[number], 1, sent_s, binding), PEER.address, sent_s)
    paths = [
        Path(site, 10.0, 0.01, is_reachable=state != "unreachable")
        for site, (state, _, _) in zip(sites, instances, strict=True)
    ]
    for sequence, total in enumerate(((), flows), 1):
        given = [AssignedFlows(D_SID, d_bid, count) for d_bid, count in zip(d_bids, total, strict=False)]
        status = IngressStatus(THERE, sequence, 100.0 + sequence, tuple(paths), tuple(given))
        controller.on_message(codec.encode(status), PEER.address, 100.0 + sequence)
    told_shares: list[Share] = []
    for action in controller.on_timer(102.0):
        if getattr(action, "kind", "") == "shares":
            message = codec.decode(action.data)  # type: ignore[union-attr]
            assert isinstance(message, Shares)
            told_shares += message.shares
            follower.on_message(action.data, PEER.address, 102.0)  # type: ignore[union-attr]
    usable = {d_bid for d_bid, (state, _, _) in zip(d_bids, instances, strict=True) if state == "up"}
    assert {share.d_bid for share in told_shares} == set(d_bids)
    assert {share.d_bid for share in told_shares if share.share} <= usable
    assert sum(share.share for share in told_shares) == (WHOLE if usable else 0)
    weights = {item.candidate.d_bid: item.weight for item in follower.weighed(D_SID, 102.0)}
    assert {d_bid for d_bid, weight in weights.items() if weight} <= usable
    assert bool(weights) == bool(usable)


def _peer_here() -> object:
    return PEER.__class__(HERE, ip_address("10.1.0.1"), path_cost_ms=20.0)
