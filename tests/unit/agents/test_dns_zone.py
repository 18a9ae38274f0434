"""What the name server answers, as DNS messages: services, what there is not, and what it is not asked for."""

from __future__ import annotations

from ipaddress import ip_address

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from testbed.agents.name_server.dns_zone import NamedService, Zone
from testbed.net.addresses import Address
from tests.dyncast_samples import CLIENT, D_SID, D_SID6, NEAR

_SERVERS = (ip_address("172.31.0.3"), ip_address("fd00:f::3"))


def zone(chosen: Address | None = NEAR) -> Zone:
    services = (
        NamedService("render", D_SID, "d_sid"),
        NamedService("video", D_SID6, "d_sid"),
        NamedService("steered", D_SID, "d_bid"),
        NamedService("eu.render", D_SID, "d_sid"),
    )
    return Zone(
        "edge.example", _SERVERS, services, ttl_s=30, steered_ttl_s=7,
        choose=lambda client, d_sid: chosen if (client, d_sid) == (CLIENT, D_SID) else None,
    )  # fmt: skip


def ask(of: Zone, name: str, kind: str = "A", **changes: object) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **changes)  # type: ignore[arg-type]
    data = of.respond(query.to_wire(), CLIENT)
    assert data is not None
    response = dns.message.from_wire(data)
    assert response.id == query.id and response.question == query.question
    return response


def answers(response: dns.message.Message) -> list[str]:
    return [f"{rrset.ttl} {record.to_text()}" for rrset in response.answer for record in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("render.edge.example.", "A", ["30 203.0.113.10"]),
        ("ReNdEr.EDGE.example.", "A", ["30 203.0.113.10"]),
        ("eu.render.edge.example.", "A", ["30 203.0.113.10"]),
        ("video.edge.example.", "AAAA", ["30 fd00:5::1"]),
        ("ns.edge.example.", "A", ["3600 172.31.0.3"]),
        ("ns.edge.example.", "AAAA", ["3600 fd00:f::3"]),
        ("edge.example.", "NS", ["3600 ns.edge.example."]),
    ],
)
def test_a_service_s_name_has_the_address_of_its_d_sid(name: str, kind: str, expected: list[str]) -> None:
    response = ask(zone(), name, kind)
    assert response.rcode() == dns.rcode.NOERROR and response.flags & dns.flags.AA
    assert answers(response) == expected


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("render.edge.example.", "AAAA", dns.rcode.NOERROR),  # there is such a name, and no such address
        ("render.edge.example.", "HTTPS", dns.rcode.NOERROR),
        ("nobody.edge.example.", "A", dns.rcode.NXDOMAIN),
        ("a.render.edge.example.", "A", dns.rcode.NXDOMAIN),
    ],
)
def test_what_there_is_not_is_said_with_how_long_that_holds(name: str, kind: str, rcode: dns.rcode.Rcode) -> None:
    response = ask(zone(), name, kind)
    assert response.rcode() == rcode and not response.answer
    (soa,) = response.authority
    assert soa.ttl == 5


def test_a_service_that_is_steered_by_name_has_the_address_chosen_for_the_client() -> None:
    assert answers(ask(zone(), "steered.edge.example.")) == ["7 10.1.0.20"]


def test_without_an_instance_to_choose_the_server_says_that_it_failed() -> None:
    of = zone(chosen=None)
    assert ask(of, "steered.edge.example.").rcode() == dns.rcode.SERVFAIL
    assert of.counters == {"dns_servfail": 1}


@pytest.mark.parametrize("name", ["render.example.", "render.other.example.", "."])
def test_other_zones_are_refused(name: str) -> None:
    response = ask(zone(), name)
    assert response.rcode() == dns.rcode.REFUSED and not response.flags & dns.flags.AA


def test_classes_and_operations_that_are_not_served_are_refused() -> None:
    assert ask(zone(), "render.edge.example.", rdclass="CH").rcode() == dns.rcode.REFUSED
    query = dns.message.make_query("render.edge.example.", "A")
    query.set_opcode(dns.opcode.NOTIFY)
    data = zone().respond(query.to_wire(), CLIENT)
    assert data is not None and dns.message.from_wire(data).rcode() == dns.rcode.NOTIMP


def test_a_question_with_options_is_answered_with_options() -> None:
    assert ask(zone(), "render.edge.example.", use_edns=0).edns == 0


def test_what_is_no_question_gets_no_answer_and_what_is_damaged_is_told_so() -> None:
    of = zone()
    query = dns.message.make_query("render.edge.example.", "A")
    whole = query.to_wire()
    data = of.respond(whole[:-3], CLIENT)
    assert data is not None and data[:2] == whole[:2] and data[3] & 0xF == dns.rcode.FORMERR
    assert (
        of.respond(dns.message.make_response(query).to_wire(), CLIENT) is None
    )  # else two servers would chat for ever
    assert of.respond(b"\0" * 5, CLIENT) is None
    assert of.counters == {"dns_malformed": 2, "dns_no_question": 1}
