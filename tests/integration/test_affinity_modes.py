"""The same promises whoever binds a flow, the D-Router or the switch itself: one suite, in both modes."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress

import pytest

from testbed.dyncast.metrics.levels import State
from testbed.emulation.inspection.bound_flows import BoundFlow, bound_flows
from testbed.linux.ovs_conntrack import Conntrack
from testbed.runtime.polling import wait_until
from tests.integration.echo_server import TCP_PORT, UDP_PORT
from tests.integration.ingress_network import (
    BY_CLIENT,
    EAST,
    FLEETING,
    INSTANCES,
    SERVICES,
    STEADY,
    WEST,
    Control,
    IngressNetwork,
    controlled,
    say,
)

pytestmark = pytest.mark.root

_FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
_PROTOCOLS = pytest.mark.parametrize(
    ("kind", "port"), [(socket.SOCK_STREAM, TCP_PORT), (socket.SOCK_DGRAM, UDP_PORT)], ids=["TCP", "UDP"]
)
_SITE = {name: site for site, name in INSTANCES.items()}


@pytest.fixture(scope="module", params=["reactive", "datapath"])
def control(
    request: pytest.FixtureRequest, ingress: IngressNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Control]:
    with controlled(ingress, tmp_path_factory.mktemp(request.param), mode=request.param) as control:
        yield control


def tell(ingress: IngressNetwork, control: Control, site: str, state: State = State.UP, sessions: int = 0) -> None:
    """Report an instance, and wait until that was heard, and until its switch spreads new flows accordingly."""
    expected = len(control.table("metrics")) + sum(len(service["d_sids"]) for service in SERVICES)
    ingress.report(site, state, sessions)
    wait_until(lambda: len(control.table("metrics")) >= expected, what="the report to be heard")
    if state is not State.DOWN:  # of which one report alone changes nothing
        d_bids = ingress.addresses(INSTANCES[site])
        wait_until(lambda: _take_flows(control, d_bids) <= {state is State.UP}, what="the switch to have the weights")


def _take_flows(control: Control, d_bids: Collection[str]) -> set[bool]:
    """Whether new flows go to these addresses, of every D-SID that its switch has weights of."""
    weights = {(row["d_sid"], row["d_bid"]): float(row["weight"]) for row in control.table("weights")}
    return {weight > 0 for (_, d_bid), weight in weights.items() if d_bid in d_bids}


def bindings(ingress: IngressNetwork, d_sid: str) -> list[BoundFlow]:
    conntrack = Conntrack(ingress.network.backends.datapath)
    found = bound_flows(ingress.bridge, conntrack, time.monotonic())
    return [item for item in found if str(item.d_sid) == d_sid]


def asked(ingress: IngressNetwork, d_sid: str, kind: socket.SocketKind, port: int, flows: int) -> Counter[str]:
    """Who answers new flows, one after the other."""
    answers: Counter[str] = Counter()
    for number in range(flows):
        with ingress.client_socket(kind, (d_sid, port)) as flow:
            answers[say(flow, f"flow {number}")] += 1
    return answers


@pytest.mark.usefixtures("control")
@_FAMILIES
@_PROTOCOLS
def test_flows_are_shared_out(ingress: IngressNetwork, kind: socket.SocketKind, port: int, family: int) -> None:
    answers = asked(ingress, STEADY[family], kind, port, 24)
    assert set(answers) == set(INSTANCES.values())  # by chance, one in eight million times not
    assert sum(answers.values()) == 24


@_FAMILIES
@_PROTOCOLS
def test_flows_stay_while_weights_change(
    ingress: IngressNetwork, control: Control, kind: socket.SocketKind, port: int, family: int
) -> None:
    with ExitStack() as opened:
        flows = [opened.enter_context(ingress.client_socket(kind, (STEADY[family], port))) for _ in range(12)]
        first = [say(flow, "first") for flow in flows]
        try:
            for round_number in range(6):
                away = (EAST, WEST)[round_number % 2]
                tell(ingress, control, away, State.DRAINING)  # all weight is with the other now
                tell(ingress, control, WEST if away == EAST else EAST, State.UP)
                assert [say(flow, f"round {round_number}") for flow in flows] == first
        finally:
            for site in INSTANCES:
                tell(ingress, control, site)


@_FAMILIES
def test_a_client_stays_with_its_instance_whatever_its_connections(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    d_sid = BY_CLIENT[family]
    answers = asked(ingress, d_sid, socket.SOCK_STREAM, TCP_PORT, 4)
    (instance,) = answers
    try:
        tell(ingress, control, _SITE[instance], State.DRAINING)
        answers = asked(ingress, d_sid, socket.SOCK_STREAM, TCP_PORT, 4)
        assert answers == {instance: 4}
    finally:
        tell(ingress, control, _SITE[instance])


@_FAMILIES
def test_an_instance_that_drains_gets_no_new_flows(ingress: IngressNetwork, control: Control, family: int) -> None:
    try:
        tell(ingress, control, EAST, State.DRAINING)
        answers = asked(ingress, STEADY[family], socket.SOCK_DGRAM, UDP_PORT, 12)
        assert answers == {INSTANCES[WEST]: 12}
    finally:
        tell(ingress, control, EAST)


@_FAMILIES
def test_flows_of_an_instance_that_died_are_ended_and_counted(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    broken = control.counted("flows_broken")
    with ExitStack() as opened:
        flows = [
            opened.enter_context(ingress.client_socket(socket.SOCK_DGRAM, (STEADY[family], UDP_PORT)))
            for _ in range(12)
        ]
        first = [say(flow, "first") for flow in flows]
        lost = sum(instance == INSTANCES[EAST] for instance in first)
        assert 0 < lost < len(flows)
        try:
            tell(ingress, control, EAST, State.DOWN)
            assert [say(flow, "one report of death") for flow in flows] == first
            tell(ingress, control, EAST, State.DOWN)
            wait_until(lambda: control.counted("flows_broken") >= broken + lost, what="the lost flows to be counted")
            assert {say(flow, "two") for flow in flows} == {INSTANCES[WEST]}
            ports = {flow.getsockname()[1] for flow in flows}
            bound = [item for item in bindings(ingress, STEADY[family]) if item.src_port in ports]
            assert {str(item.d_bid) for item in bound} == {ingress.addresses(INSTANCES[WEST])[family]}
        finally:
            tell(ingress, control, EAST)


@pytest.mark.usefixtures("control")
@_FAMILIES
def test_an_idle_flow_ends(ingress: IngressNetwork, family: int) -> None:
    with ingress.client_socket(socket.SOCK_DGRAM, (FLEETING[family], UDP_PORT)) as flow:
        flow.settimeout(2)
        port = flow.getsockname()[1]

        def bound() -> list[BoundFlow]:
            return [item for item in bindings(ingress, FLEETING[family]) if item.src_port == port]

        def is_seen_bound() -> bool:
            with suppress(TimeoutError):  # a slow machine may take longer than a flow stays bound
                say(flow, "one")
            return len(bound()) == 1

        wait_until(is_seen_bound, 40, "the flow to be bound")
        wait_until(lambda: not bound(), 40, "the binding to end")


@pytest.mark.usefixtures("control")
def test_a_flow_that_only_comes_home_stays_bound(ingress: IngressNetwork) -> None:
    with ingress.client_socket(socket.SOCK_DGRAM, (FLEETING[0], UDP_PORT)) as flow:
        instance = say(flow, "one")
        flow.send(b"stream")
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + 5:  # several timeouts
            assert flow.recv(1000).decode() == f"{instance} streams"
        flow.send(b"stop")
        wait_until(lambda: any("stop" in line for line in ingress.seen(instance)), what="the same instance to hear")


@_FAMILIES
@_PROTOCOLS
def test_without_an_instance_a_new_flow_is_refused_at_once_and_counted(
    ingress: IngressNetwork, control: Control, kind: socket.SocketKind, port: int, family: int
) -> None:
    def refused() -> int:
        return control.counted("refused_no_instance") + control.counted("refused_by_switch")

    before = refused()
    try:
        for site in INSTANCES:
            tell(ingress, control, site, State.DRAINING)
        with pytest.raises(OSError, match=r"No route to host|Network is unreachable|Connection refused"):  # noqa: SIM117
            with ingress.client_socket(kind, (STEADY[family], port)) as flow:
                flow.settimeout(5)
                say(flow, "anybody there?")
        wait_until(lambda: refused() > before, what="the refusal to be counted")
    finally:
        for site in INSTANCES:
            tell(ingress, control, site)
    asked(ingress, STEADY[family], kind, port, 1)


@pytest.mark.usefixtures("control")
@_FAMILIES
@_PROTOCOLS
def test_the_binding_table_can_be_read(
    ingress: IngressNetwork, kind: socket.SocketKind, port: int, family: int
) -> None:
    proto = {TCP_PORT: "tcp", UDP_PORT: "udp"}[port]
    with ingress.client_socket(kind, (STEADY[family], port)) as flow:
        instance = say(flow, "hello")
        address, src_port = flow.getsockname()[:2]
        (found,) = [item for item in bindings(ingress, STEADY[family]) if item.src_port == src_port]
        assert (str(found.src), found.dst_port) == (address, port)
        assert found.proto == proto
        assert str(found.d_bid) == ingress.addresses(instance)[family]
        assert found.age_s is not None and 0 <= found.age_s < 10
        assert found.timeout_s is not None and 590 <= found.timeout_s <= 600
    with ingress.client_socket(kind, (BY_CLIENT[family], port)) as flow:
        instance = say(flow, "hello")
        (found,) = [item for item in bindings(ingress, BY_CLIENT[family]) if item.proto == proto]
        assert (str(found.src), found.src_port, found.dst_port) == (address, None, None)
        assert str(found.d_bid) == ingress.addresses(instance)[family]
