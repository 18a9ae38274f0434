"""Services that an ingress learns of: what it takes up, as what, until when; and how they are told in band."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.actions import InstallAffinity, InterceptService, RefusePacket, ReleaseService, RemoveAffinity
from testbed.dyncast.affinity.service import PORT_BLOCKS
from testbed.dyncast.affinity.table import HeldFlow
from testbed.dyncast.events import Decided
from testbed.dyncast.messages import codec, service_offer
from testbed.dyncast.messages.codec import CodecError
from testbed.dyncast.messages.reports import BindingReport, Report, report_of
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import process_configs
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, FlowKey
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
    of_kind,
    only,
    report_bytes,
    service,
)
from tests.scenarios import SWITCH, small_document, small_plan

_RAW = RawMetrics(4, queue_limit=50, sessions=1, service_time_s=0.125)
_OFFER = ServiceOffer("render", THREE_TUPLE, 1, 77)


def learner(**changes: Any) -> DRouter:
    ranges = (ip_network("203.0.113.0/24"),)
    config = DRouterConfig(HERE, (), (PEER,), d_sid_ranges=ranges, learnt_policy="closest", **changes)
    return DRouter(config, Random(1))


def told(d_bid: object = NEAR, *, state: State = State.UP, offer: ServiceOffer | None = _OFFER) -> BindingReport:
    raw = None if state is State.DOWN else _RAW
    return replace(report_of(D_SID, d_bid, state, raw), offer=offer)  # type: ignore[arg-type]


def tell(router: DRouter, now_s: float, sequence: int, *bindings: BindingReport, site: str = HERE) -> list[Any]:
    return router.on_message(report_bytes(site, sequence, now_s, *bindings), NEAR, now_s)


def test_a_d_sid_is_intercepted_from_its_first_report_and_steered_as_that_says() -> None:
    router = learner()
    assert of_kind(router.on_switch_connected(0.0), InterceptService) == []
    assert router.on_packet(flow(), 0.0) == [RefusePacket("unknown_d_sid")]
    assert only(tell(router, 1.0, 1, told()), InterceptService).d_sid == D_SID
    assert of_kind(tell(router, 1.1, 2, told()), InterceptService) == []
    entry = only(router.on_packet(flow(), 1.2), InstallAffinity).entry
    assert (entry.flow.src_port, entry.timeout_s, entry.d_bid) == (None, 77, NEAR)  # a 3-tuple
    decided = only(router.on_packet(flow(src=ip_address("10.1.0.11")), 1.3), Decided)
    assert (decided.service, decided.policy) == ("render", "closest")
    assert only(router.on_switch_connected(2.0), InterceptService).d_sid == D_SID


def test_it_is_released_when_the_last_instance_is_gone_and_bound_flows_stay() -> None:
    router = learner(metric_lifetime_s=3)
    tell(router, 0.0, 1, told())
    tell(router, 0.0, 1, told(FAR), site=THERE)
    bound = only(router.on_packet(flow(), 0.1), InstallAffinity).entry
    tell(router, 1.0, 2, told(state=State.DOWN))
    assert of_kind(router.on_timer(1.3), ReleaseService) == []  # one is left
    assert only(router.on_timer(3.5), ReleaseService).d_sid == D_SID  # it was not heard of any more
    assert router.on_packet(flow(src=ip_address("10.1.0.11")), 3.6) == [RefusePacket("unknown_d_sid")]
    assert router.affinity.find(bound.flow) is not None
    assert only(tell(router, 4.0, 2, told(FAR), site=THERE), InterceptService).d_sid == D_SID
    assert (router.counters["services_learnt"], router.counters["services_forgotten"]) == (2, 1)


def test_who_is_told_nothing_of_a_service_takes_it_as_services_are() -> None:
    router = learner()
    tell(router, 0.0, 1, told(offer=None))
    entry = only(router.on_packet(flow(), 0.1), InstallAffinity).entry
    assert (entry.flow, entry.timeout_s) == (flow(), 30)
    assert router.services[D_SID].name == str(D_SID)


def test_what_cannot_be_learnt_is_counted() -> None:
    router = learner()
    stranger = replace(told(), d_sid=ip_address("198.51.100.1"))
    ports_alone = replace(told(), offer=ServiceOffer("odd", ("src", "src_port")))
    draining = told(state=State.DRAINING)
    assert of_kind(tell(router, 0.0, 1, stranger, ports_alone, draining), InterceptService) == []
    tell(router, 0.1, 2, told())
    tell(router, 0.2, 1, told(FAR, offer=replace(_OFFER, affinity_timeout_s=5)), site=THERE)
    assert router.services[D_SID].affinity_timeout_s == 77  # the first word holds
    counted = {kind: router.counters[kind] for kind in ("bindings_not_kept", "offers_unusable")}
    assert counted == {"bindings_not_kept": 1, "offers_unusable": 1}
    assert router.counters["offers_conflicting"] == 1


@pytest.mark.parametrize(
    "held",
    [
        flow(),
        flow(src_port=None, proto=1),
        FlowKey(CLIENT, D_SID, 6, None, None),
        FlowKey(CLIENT, D_SID, None, None, None),
    ],
    ids=["5-tuple", "ping", "3-tuple", "client"],
)
def test_a_d_router_that_comes_back_keeps_what_its_switch_holds_before_it_learns_the_service(held: FlowKey) -> None:
    router = learner()
    stranger = held._replace(dst=ip_address("198.51.100.1"))
    there = [HeldFlow(number, key, NEAR, 5.0, has_forward=True, has_reverse=True)
             for number, key in ((1, held), (2, stranger))]  # fmt: skip
    actions = router.on_switch_connected(0.0, there)
    assert [action.entry.flow for action in of_kind(actions, RemoveAffinity)] == [stranger]
    assert router.affinity.find(held) is not None
    tell(router, 0.5, 1, told(offer=replace(_OFFER, flow_fields=FIVE_TUPLE)))
    if held == flow():
        assert of_kind(router.on_packet(held, 1.0), Decided) == []  # it is bound


def test_a_d_router_that_is_configured_learns_nothing() -> None:
    router = d_router(service(), d_sid_ranges=(ip_network("203.0.113.0/24"),))
    other = replace(told(), d_sid=D_SID + 1)
    assert of_kind(tell(router, 0.0, 1, other), InterceptService) == []
    assert router.on_packet(flow(dst=D_SID + 1), 0.1) == [RefusePacket("unknown_d_sid")]


# -- on the wire ---------------------------------------------------------------------------------

offers = st.builds(
    ServiceOffer,
    st.text(max_size=30),
    st.sets(st.sampled_from(FIVE_TUPLE)).map(lambda fields: tuple(field for field in FIVE_TUPLE if field in fields)),
    st.sampled_from(PORT_BLOCKS),
    st.integers(1, 65535),
)


@given(st.none() | offers)
def test_an_offer_travels_with_the_metrics_and_changes_none(offer: ServiceOffer | None) -> None:
    sent = Report(HERE, 1, 1.0, (told(offer=offer), told(FAR, offer=None)))
    received = codec.decode(codec.encode(sent))
    assert received == sent


def test_who_does_not_know_offers_skips_them() -> None:
    plain = wire_fields.encode(_RAW, told().scores)
    offered = bytes((plain[0] + 1,)) + service_offer.encode(_OFFER) + plain[1:]
    assert wire_fields.decode(memoryview(offered), 0)[:2] == wire_fields.decode(memoryview(plain), 0)[:2]


@pytest.mark.parametrize("length", range(1, 20))
def test_an_offer_that_is_cut_short_is_refused(length: int) -> None:
    whole = codec.encode(Report(HERE, 1, 1.0, (told(),)))
    at = whole.index(bytes((192,)), 30)
    with pytest.raises(CodecError):
        codec.decode(whole[: at + length])


def test_a_name_that_is_too_long_cannot_be_told() -> None:
    with pytest.raises(CodecError, match="at most 123"):
        codec.encode(Report(HERE, 1, 1.0, (told(offer=ServiceOffer("x" * 124)),)))


# -- in a scenario -------------------------------------------------------------------------------


def _learnt(**changes: Any) -> dict[str, Any]:
    return {"services_known": "learnt", "d_sid_ranges": ["203.0.113.0/24"], **changes}


def test_d_routers_are_told_of_ranges_and_a_policy_and_d_mas_of_their_services(tmp_path: Any) -> None:
    services = small_document()["services"]
    services["render"]["affinity"] = {"fields": ["src", "dst", "proto"], "timeout_s": 9}
    plan = small_plan(**_learnt(services=services, policy="weighted"))
    control = process_configs.control(
        plan, "east", tmp_path, datapath_id=1, openflow_fd=9, uplink_port=1, in_band_fd=3,
        switch=SWITCH, zones={},
    )  # fmt: skip
    assert (control.services, control.learnt_policy) == ((), "weighted")
    assert control.d_sid_ranges == (ip_network("203.0.113.0/24"),)
    agent = process_configs.metric_agent(plan, "east", tmp_path)
    assert agent is not None
    assert [item.service for item in agent.instances] == [ServiceOffer("render", THREE_TUPLE, 1, 9)]
    configured = process_configs.metric_agent(small_plan(), "east", tmp_path)
    assert configured is not None and configured.instances[0].service is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_sid_ranges": []}, ["services_known", "d_sid_ranges"]),
        ({"policy": "dns_ttl"}, ["services_known", "dns_ttl"]),
        ({"policy": "oracle"}, ["services_known", "oracle"]),
        ({"control": {"mode": "centralized", "controller": "east"}}, ["services_known", "control.mode"]),
        ({"render": {"policy": "closest"}}, ["services.render.policy", "dyncast"]),
        ({"render": {"affinity": {"mode": "datapath"}}}, ["services.render.affinity.mode"]),
        ({"render": {"steering": "tunnel"}}, ["services.render.steering"]),
    ],
)
def test_what_cannot_be_learnt_is_said_in_one_line(changes: dict[str, Any], words: list[str]) -> None:
    services = small_document()["services"]
    services["render"] |= changes.pop("render", {})
    with pytest.raises(ScenarioError) as caught:
        small_plan(**_learnt(services=services, **changes))
    assert all(word in str(caught.value) for word in words), caught.value
