"""The policy `dns_ttl`: which instance a name server answers with, by what it heard; and what it does not believe."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Identity, Role
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes import dns_steering
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl, NameSteering
from testbed.net.addresses import Address
from testbed.net.token_bucket import Rate
from tests.dyncast_samples import CLIENT, D_SID, FAR, HERE, NEAR, THERE, report_bytes, told

_SITES = (
    ClientSite(HERE, (ip_network("10.1.0.0/16"),), {THERE: 20.0}),
    ClientSite(THERE, (ip_network("10.2.0.0/16"),), {HERE: 20.0}),
)
_SITE_OF = {NEAR: HERE, FAR: THERE}


def steering(answers: str = "least_loaded", authenticator: Authenticator | None = None) -> NameSteering:
    return NameSteering(
        {D_SID: "render"}, DnsTtl(30, answers), _SITES, lifetime_s=10, report_rate=Rate(100, 100), rng=Random(1),
        authenticator=authenticator,
    )  # fmt: skip


def hear(of: NameSteering, now_s: float, sessions: Mapping[Address, int | None], sequence: int = 1) -> None:
    for d_bid, having in sessions.items():
        raw = None if having is None else RawMetrics(4, queue_limit=50, sessions=having, service_time_s=0.1)
        of.on_message(report_bytes(_SITE_OF[d_bid], sequence, now_s, told(d_bid, raw)), d_bid, now_s)


def chosen(of: NameSteering, client: Address = CLIENT, now_s: float = 0.0) -> Address | None:
    decided = of.choose(client, D_SID, now_s)
    return decided.d_bid if decided else None


def test_the_answer_is_by_the_load_that_is_known_when_asked() -> None:
    of = steering()
    hear(of, 0.0, {NEAR: 3, FAR: 1})
    assert chosen(of) == FAR
    hear(of, 1.0, {NEAR: 0, FAR: 1}, sequence=2)
    assert chosen(of, now_s=1.0) == NEAR


def test_answers_go_round_the_instances_whoever_asks() -> None:
    of = steering("round_robin")
    hear(of, 0.0, {NEAR: 3, FAR: 1})
    assert {chosen(of), chosen(of)} == {NEAR, FAR}
    assert of.counters["decisions"] == 2


def test_what_is_closest_depends_on_where_the_client_is() -> None:
    of = steering("closest")
    hear(of, 0.0, {NEAR: 9, FAR: 0})
    assert [chosen(of, client) for client in (CLIENT, ip_address("10.2.0.99"))] == [NEAR, FAR]
    assert chosen(of, ip_address("172.31.0.1")) in (NEAR, FAR)  # of no site: both are equally far


def test_an_instance_that_is_down_or_not_heard_of_any_more_is_no_answer() -> None:
    of = steering()
    assert chosen(of) is None
    hear(of, 0.0, {NEAR: None, FAR: 3})
    assert chosen(of) == FAR
    assert chosen(of, now_s=10.5) is None
    assert of.counters["refused_no_instance"] == 2


def test_a_decision_says_what_it_was_made_of() -> None:
    of = steering()
    hear(of, 1.0, {NEAR: 3, FAR: 1})
    decided = of.choose(CLIENT, D_SID, 3.0)
    assert decided is not None
    assert (decided.policy, decided.service, decided.egress, decided.considered) == ("dns_ttl", "render", THERE, 2)
    assert (decided.flow.src, decided.flow.dst, decided.flow.src_port) == (CLIENT, D_SID, None)
    assert decided.metrics_age_s == 2.0


def test_only_reports_of_known_sites_in_order_and_with_the_right_tag_are_believed() -> None:
    of = steering()
    raw = RawMetrics(4)
    first = report_bytes(HERE, 5, 0.0, told(NEAR, raw))
    assert [record.event for record in of.on_message(first, NEAR, 0.0)] == ["received"]
    assert [record.event for record in of.on_message(first, NEAR, 0.1)] == ["dropped"]
    of.on_message(report_bytes("elsewhere", 1, 0.0, told(NEAR, raw)), NEAR, 0.2)
    of.on_message(report_bytes(HERE, 6, 0.0, told(FAR, raw)), NEAR, 0.2)
    assert of.on_message(codec.encode(Probe(HERE, 1, 0.0)), NEAR, 0.2) == []
    assert of.counters == {
        "reports_overtaken": 1, "reports_unknown_site": 1, "reports_foreign_d_bid": 1, "probes_unexpected": 1,
    }  # fmt: skip

    agent, server = Identity(Role.AGENT, HERE), Identity(Role.D_ROUTER, "dns@east")
    keys = {agent: bytes(32), server: bytes([1]) * 32}
    of = steering(authenticator=Authenticator(server, keys, 1))
    of.on_message(first, NEAR, 0.0)
    assert chosen(of) is None
    of.on_message(Authenticator(agent, keys, 1).sign(first), NEAR, 0.0)
    assert chosen(of) == NEAR
    assert of.counters["messages_unauthenticated"] == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ttl_s": 0.5}, "whole seconds"),
        ({"ttl_s": -1}, "whole seconds"),
        ({"ttl_s": "long"}, "must be a number, not 'long'"),
        ({"answers": "oracle"}, "one of closest, dyncast"),
        ({"answer": "closest"}, "answer"),
    ],
)
def test_parameters_that_cannot_be_are_refused(given: dict[str, float | str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dns_steering.parameters(**given)
