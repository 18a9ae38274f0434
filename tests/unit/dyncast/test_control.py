"""Whom D-Routers believe in matters of control: keys, sites and kinds of messages."""

from __future__ import annotations

import pytest

from testbed.dyncast.actions import RefusePacket, SendMessage
from testbed.dyncast.events import MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Identity, Role
from testbed.dyncast.messages.control_messages import WHOLE, Loads
from testbed.dyncast.messages.reports import Probe
from tests.control_samples import INGRESS, RAW, chosen, controller, decision, follower, hears, sent, share, status
from tests.dyncast_samples import (
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    flow,
    informed,
    of_kind,
    only,
    report_bytes,
    told,
)

_KEYS = {
    Identity(role, site): f"{role.value} {site}".encode().ljust(32) for role in Role for site in (HERE, THERE, "north")
}


def signer(role: Role, site: str) -> Authenticator:
    return Authenticator(Identity(role, site), _KEYS, epoch=1)


def test_messages_of_the_controller_are_signed_for_one_ingress() -> None:
    router = controller(authenticator=signer(Role.D_ROUTER, THERE))
    agent = signer(Role.AGENT, THERE)
    router.on_message(agent.sign(report_bytes(THERE, 1, 100.0, told(FAR, RAW))), FAR, 100.0)
    at_ingress = signer(Role.D_ROUTER, HERE)
    router.on_message(at_ingress.sign(codec.encode(status(1, 100.0)), THERE), INGRESS.address, 100.0)
    (signed,) = [item.data for item in of_kind(router.on_timer(100.0), SendMessage) if item.kind == "shares"]
    router_here = follower(authenticator=signer(Role.D_ROUTER, HERE))
    router_here.on_message(signed, PEER.address, 100.0)
    assert chosen(router_here, 100.0) == {FAR: 200}
    router_here.on_message(signed, PEER.address, 100.1)
    assert router_here.counters["messages_replayed"] == 1
    elsewhere = follower(site="north", authenticator=signer(Role.D_ROUTER, "north"))
    elsewhere.on_message(signed, PEER.address, 100.0)
    assert elsewhere.counters["messages_forged"] == 1


@pytest.mark.parametrize(("role", "site"), [(Role.AGENT, THERE), (Role.D_ROUTER, "north"), (Role.AGENT, HERE)])
def test_nobody_else_can_speak_for_the_controller_or_for_an_ingress(role: Role, site: str) -> None:
    router = follower(authenticator=signer(Role.D_ROUTER, HERE))
    router.on_message(signer(role, site).sign(codec.encode(decision(1, 100.0, share(NEAR, WHOLE))), HERE), FAR, 100.0)
    at_controller = controller(authenticator=signer(Role.D_ROUTER, THERE))
    at_controller.on_message(signer(role, site).sign(codec.encode(status(1, 100.0)), THERE), FAR, 100.0)
    assert router.counters["messages_forged"] == at_controller.counters["messages_forged"] == 1
    assert router.on_packet(flow(), 100.0) == [RefusePacket("no_instance")]


def test_without_a_controller_nobody_listens_to_one() -> None:
    router = informed(d_router(), now_s=100.0)
    for message in (decision(1, 100.0, share(FAR, WHOLE)), status(1, 100.0), Loads(THERE, 1, 100.0, ())):
        hears(router, message, 100.0)
    assert router.counters["messages_unexpected"] == 3
    assert sent(router.on_timer(100.0), "ingress_status") == []


def test_a_message_is_counted_by_the_kind_that_it_claims_to_be() -> None:
    agent = Authenticator(Identity(Role.AGENT, HERE), _KEYS, epoch=1)
    report = report_bytes(HERE, 1, 0, told(NEAR, RAW))
    assert [codec.kind_of(data) for data in (report, agent.sign(report))] == ["report", "report"]
    assert codec.kind_of(codec.encode(status(1, 0))) == "ingress_status"
    assert [codec.kind_of(data) for data in (b"", b"junk", b"\xdc\x01\x78")] == ["unknown"] * 3


def test_a_kind_of_message_that_is_not_known_is_ignored_and_counted() -> None:
    router = d_router()
    data = bytearray(codec.encode(Probe(THERE, 1, 100.0)))
    data[2] = 120
    assert only(router.on_message(bytes(data), PEER.address, 100.0), MetricsReceived).event == "dropped"
    assert router.counters["messages_unknown_kind"] == 1
