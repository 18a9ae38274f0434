"""A real CFN Dispatcher: it binds flows as its CFN node says, in either way, and the CFN node keeps none of them."""

from __future__ import annotations

import itertools
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest

from testbed.dyncast.metrics.levels import State
from testbed.runtime.polling import wait_until
from tests.integration.dispatcher_network import DISPATCHER, DispatcherControl, dispatched, with_dispatcher
from tests.integration.echo_server import TCP_PORT, UDP_PORT
from tests.integration.ingress_network import (
    BY_CLIENT,
    EAST,
    FLEETING,
    HOME,
    INSTANCES,
    NEIGHBOUR,
    STEADY,
    WEST,
    Control,
    IngressNetwork,
    built,
    say,
)
from tests.machine import dyncast

pytestmark = pytest.mark.root

_FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
_FLOWS = 20
_PACKETS = 5
_QUESTIONS = itertools.count()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressNetwork]:
    with built(tmp_path_factory.mktemp("dispatcher"), with_dispatcher()) as network:
        yield network


class Running(NamedTuple):
    """The network with its CFN node and Dispatcher at work, and how the one tells the other."""

    network: IngressNetwork
    node: Control
    home: DispatcherControl
    tells: str

    def bound(self, node: str) -> int:
        """How many flows a node's switch binds."""
        return sum(entry.is_forward for entry in self.network.affinity_entries(node))

    def bindings(self, node: str) -> list[dict[str, Any]]:
        """What `dyncast bindings` shows of a node."""
        shown = dyncast("bindings", node, "--json")
        assert shown.returncode == 0, shown.stderr
        return [row for row in json.loads(shown.stdout) if row["run"] == str(self.network.network.tag)]


@pytest.fixture(scope="module", params=["explicit", "implicit"])
def running(
    request: pytest.FixtureRequest, network: IngressNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with dispatched(network, tmp_path_factory.mktemp(request.param), request.param) as (node, home):
        yield Running(network, node, home, request.param)


@_FAMILIES
def test_the_dispatcher_binds_tcp_flows_and_the_cfn_node_none(family: int, running: Running) -> None:
    before = running.bound(DISPATCHER)
    with ExitStack() as open_sockets:
        chosen = set()
        for _ in range(_FLOWS):
            connection = open_sockets.enter_context(
                running.network.client_socket(socket.SOCK_STREAM, (STEADY[family], TCP_PORT))
            )
            first = say(connection, "first")
            assert {say(connection, f"line {number}") for number in range(3)} == {first}
            chosen.add(first)
        assert chosen == set(INSTANCES.values())
        assert (running.bound(DISPATCHER) - before, running.bound(HOME)) == (_FLOWS, 0)
        rows = [row for row in running.bindings(DISPATCHER) if row["d_sid"] == STEADY[family] and row["proto"] == "tcp"]
        assert len(rows) == _FLOWS and {row["egress"] for row in rows} == {EAST, WEST}
        assert running.bindings(HOME) == []


@_FAMILIES
@pytest.mark.parametrize("d_sids", [STEADY, BY_CLIENT], ids=["5-tuple", "3-tuple"])
def test_datagrams_above_the_mtu_pass_whole_both_ways(family: int, d_sids: tuple[str, str], running: Running) -> None:
    with running.network.client_socket(socket.SOCK_DGRAM, (d_sids[family], UDP_PORT)) as flow:
        instances = set()
        for size in (4000, 30_000):
            flow.send(b"D" * size)
            instance, _, content = flow.recv(65_535).partition(b" ")
            assert content == b"D" * size
            instances.add(instance.decode())
        assert {say(flow, "small")} == instances


@_FAMILIES
def test_a_client_behind_it_learns_that_nobody_listens(family: int, running: Running) -> None:
    for _ in INSTANCES:
        with running.network.client_socket(socket.SOCK_DGRAM, (STEADY[family], 9)) as flow:
            flow.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                flow.recv(100)


@_FAMILIES
def test_no_datagram_is_lost_or_goes_elsewhere_while_the_answer_is_on_its_way(family: int, running: Running) -> None:
    with ExitStack() as open_sockets:
        flows = [
            open_sockets.enter_context(running.network.client_socket(socket.SOCK_DGRAM, (STEADY[family], UDP_PORT)))
            for _ in range(_FLOWS)
        ]
        for flow in flows:
            for number in range(_PACKETS):  # at once: the first is not answered yet
                flow.send(f"datagram {number}".encode())
        for flow in flows:
            answers = [flow.recv(1000).decode().partition(" ") for _ in range(_PACKETS)]
            assert len({instance for instance, _, _ in answers}) == 1
            assert sorted(text for _, _, text in answers) == [f"datagram {number}" for number in range(_PACKETS)]
    assert running.bound(HOME) == 0


def test_an_identifier_without_ports_has_one_binding(running: Running) -> None:
    before = running.bound(DISPATCHER)
    answered = set()
    for _ in range(4):
        with running.network.client_socket(socket.SOCK_STREAM, (BY_CLIENT[0], TCP_PORT)) as connection:
            answered.add(say(connection, "again"))
    assert (len(answered), running.bound(DISPATCHER) - before) == (1, 1)


def test_a_client_beside_the_dispatcher_is_bound_by_the_d_router(running: Running) -> None:
    with running.network.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT), host=NEIGHBOUR) as connection:
        say(connection, "hello")
        assert running.bound(HOME) == 1
    done = dyncast("inspect", HOME, "--reset-flows", "--run", str(running.network.network.tag), timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert running.bound(HOME) == 0
    assert running.node.decisions(STEADY[0])


def test_an_idle_flow_leaves_the_dispatcher(running: Running) -> None:
    with running.network.client_socket(socket.SOCK_DGRAM, (FLEETING[0], UDP_PORT)) as flow:
        flow.send(b"hello")
        flow.recv(1000)
        port = flow.getsockname()[1]
        assert [entry for entry in running.network.affinity_entries(DISPATCHER) if entry.names_port(port)]
        wait_until(
            lambda: not [entry for entry in running.network.affinity_entries(DISPATCHER) if entry.names_port(port)],
            what="the idle flow to end",
        )


def test_flows_of_an_instance_that_died_go_to_another_through_the_cfn_node(running: Running) -> None:
    with ExitStack() as open_sockets:
        flows = [
            open_sockets.enter_context(running.network.client_socket(socket.SOCK_DGRAM, (STEADY[0], UDP_PORT)))
            for _ in range(4)
        ]
        served = {flow: _ask(flow) for flow in flows}
        assert set(served.values()) == set(INSTANCES.values())
        before = running.home.counted("flows_redispatched")
        try:
            for _ in range(2):
                running.network.report(EAST, State.DOWN)
            moved = [flow for flow, instance in served.items() if instance == INSTANCES[EAST]]
            for flow in moved:
                wait_until(lambda flow=flow: _has_gone_to(flow, INSTANCES[WEST]), what="the flow to go elsewhere")
            assert all(_ask(flow) == INSTANCES[WEST] for flow in flows)
            wait_until(lambda: running.home.counted("flows_redispatched") == before + len(moved), what="the count")
        finally:
            running.network.report(EAST)


def _ask(flow: socket.socket) -> str:
    """Return who answers; an answer to an earlier question is none."""
    question = f"who-{next(_QUESTIONS)}"
    flow.send(question.encode())
    echoed = ""
    while echoed != question:
        instance, _, echoed = flow.recv(1000).decode().partition(" ")
    return instance


def _has_gone_to(flow: socket.socket, instance: str) -> bool:
    """Whether an instance answers by now. What was under way when the flow lost its instance may be lost."""
    patience_s = flow.gettimeout()
    flow.settimeout(1)
    try:
        return _ask(flow) == instance
    except TimeoutError:
        return False
    finally:
        flow.settimeout(patience_s)


def test_bound_flows_go_on_while_the_dispatcher_is_away_and_after(running: Running) -> None:
    with running.network.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
        instance = say(connection, "before")
        running.home.end(signal.SIGKILL)
        assert say(connection, "meanwhile") == instance
        running.home.start(report=False)
        assert say(connection, "after") == instance
        assert running.home.counted("bindings_not_recovered") == 0
        wait_until(lambda: running.home.counted("bindings_recovered") > 0, what="the bindings to be recovered")
        with running.network.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as another:
            say(another, "and new flows are bound")


def test_the_cfn_node_tells_only_by_messages_that_are_counted(running: Running) -> None:
    with running.network.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
        say(connection, "hello")
    wait_until(lambda: running.home.counted("flows_bound") > 0, what="the Dispatcher's counters")
    sent = [row for row in running.node.table("control") if (row["direction"], row["peer"]) == ("sent", DISPATCHER)]
    assert ("assignment" in {row["kind"] for row in sent}) == (running.tells == "explicit")
    assert running.node.counted("flows_dispatched") > 0
