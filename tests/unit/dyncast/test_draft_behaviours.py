"""Sentences of the architecture drafts that span several parts of a D-Router. See docs/dyncast/coverage.md."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

from testbed.dyncast.actions import ForwardPacket, InstallAffinity
from testbed.dyncast.events import Decided
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.net.addresses import Address
from testbed.net.flow_key import THREE_TUPLE, UDP, FlowKey
from tests.dyncast_samples import (
    CLIENT,
    D_SID,
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    flow,
    informed,
    only,
    report_bytes,
    service,
    told,
)

CALLS = 1000
AUDIO_PORT, VIDEO_PORT = 5004, 5006
FOUR_FIELDS = ("src", "dst", "proto", "dst_port")  # as drawn in the tables of both drafts


def served_by(router: DRouter, packet: FlowKey) -> Address:
    return only(router.on_packet(packet, now_s=1), ForwardPacket).entry.d_bid


def split_calls(fields: tuple[str, ...]) -> int:
    """Return how many calls have their audio at one instance and their video at another."""
    router = informed(d_router(service(policy="random", flow_fields=fields)))
    split = 0
    for number in range(CALLS):
        caller = CLIENT + number
        audio, video = (FlowKey(caller, D_SID, UDP, port, port) for port in (AUDIO_PORT, VIDEO_PORT))
        split += served_by(router, audio) != served_by(router, video)
    return split


def test_audio_and_video_of_a_call_may_part_by_five_tuple_and_never_by_three_tuple() -> None:
    assert CALLS * 0.4 < split_calls(("src", "dst", "proto", "src_port", "dst_port")) < CALLS * 0.6
    assert split_calls(THREE_TUPLE) == 0


def test_each_service_has_a_flow_identifier_and_a_timeout_of_its_own() -> None:
    other = D_SID + 1
    router = d_router(
        service(d_sids=(D_SID,), affinity_timeout_s=600),
        service(name="store", d_sids=(other,), flow_fields=FOUR_FIELDS, affinity_timeout_s=5),
    )
    raw = RawMetrics(4)
    router.on_message(report_bytes(HERE, 1, 0, told(NEAR, raw), told(NEAR + 1, raw, d_sid=other)), NEAR, 0)
    entries = {
        d_sid: [only(router.on_packet(flow(port, dst=d_sid), now_s=1), ForwardPacket).entry for port in (1, 2)]
        for d_sid in (D_SID, other)
    }
    assert [(entry.flow.src_port, entry.timeout_s) for entry in entries[D_SID]] == [(1, 600), (2, 600)]
    assert [(entry.flow.src_port, entry.timeout_s) for entry in entries[other]] == [(None, 5), (None, 5)]
    assert entries[other][0] == entries[other][1]
    assert entries[other][0].flow.dst_port == 80


def test_a_binding_has_flow_identifier_instance_egress_and_timeout() -> None:
    router = informed(d_router(service(flow_fields=FOUR_FIELDS, affinity_timeout_s=60)), near=20)
    entry = only(router.on_packet(flow(), now_s=1), InstallAffinity).entry
    assert entry.flow == FlowKey(CLIENT, D_SID, flow().proto, None, 80)
    assert (entry.d_bid, entry.egress, entry.timeout_s) == (FAR, THERE, 60)


def test_instances_at_one_d_router_are_told_apart_and_all_serve() -> None:
    router = d_router(peers=())
    cores = [NEAR + number for number in range(3)]
    raw = RawMetrics(1, queue_limit=50, service_time_s=0.1)
    router.on_message(report_bytes(HERE, 1, 0, *(told(d_bid, raw) for d_bid in cores)), NEAR, 0)
    served = Counter(served_by(router, flow(port)) for port in range(30))
    assert served == dict.fromkeys(cores, 10)  # one worker each: whoever has fewest is next


def test_two_ingresses_decide_each_by_its_own_view() -> None:
    """To either, the instance at its own site is the nearer one: same reports, different paths."""
    north = d_router(site=HERE)
    south = d_router(site=THERE, peers=(PEER.__class__(HERE, ip_address("10.1.0.1"), path_cost_ms=20.0),))
    chosen = [only(informed(router).on_packet(flow(), now_s=1), Decided).d_bid for router in (north, south)]
    assert chosen == [NEAR, FAR]


def test_a_new_instance_gets_flows_once_it_is_reported_and_none_when_it_is_gone() -> None:
    router = d_router(service(policy="least_loaded"), peers=())
    full, idle = RawMetrics(1, sessions=9), RawMetrics(1)
    router.on_message(report_bytes(HERE, 1, 0, told(NEAR, full)), NEAR, 0)
    assert served_by(router, flow(1)) == NEAR
    router.on_message(report_bytes(HERE, 2, 0, told(NEAR, full), told(NEAR + 1, idle)), NEAR, 0)
    assert served_by(router, flow(2)) == NEAR + 1
    router.on_message(report_bytes(HERE, 3, 0, told(NEAR, full), told(NEAR + 1, None)), NEAR, 0)
    assert served_by(router, flow(3)) == NEAR
