"""The controller dies, the switch comes and goes: what must go on goes on."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.emulation.netns.namespaces import socket_in
from testbed.runtime.polling import wait_until
from tests.integration.echo_server import TCP_PORT, UDP_PORT
from tests.integration.ingress_network import (
    BY_CLIENT,
    CLIENT,
    EAST,
    FLEETING,
    HOME,
    IN_BAND_PORT,
    INSTANCES,
    STEADY,
    Control,
    IngressNetwork,
    controlled,
    say,
)

pytestmark = pytest.mark.root


@pytest.fixture
def control(ingress: IngressNetwork, tmp_path: Path) -> Iterator[Control]:
    with controlled(ingress, tmp_path) as control:
        yield control


def pings(ingress: IngressNetwork, address: str) -> bool:
    ping = ["ping", "-n", "-c", "1", "-W", "5", address]
    return ingress.network.run(CLIENT, ping, timeout_s=30).returncode == 0


def cookies(ingress: IngressNetwork) -> list[int]:
    return sorted(entry.cookie for entry in ingress.affinity_entries())


def target_of(ingress: IngressNetwork) -> str:
    """Where the switch has its controller."""
    argv = ["ovs-vsctl", "get-controller", ingress.bridge]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_when_the_controller_dies_bound_flows_and_ordinary_traffic_go_on(
    ingress: IngressNetwork, control: Control, tmp_path: Path
) -> None:
    with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
        instance = say(connection, "before")
        control.end(signal.SIGKILL)
        for number in range(20):
            assert say(connection, f"without controller {number}") == instance
        for name in INSTANCES.values():
            assert pings(ingress, ingress.addresses(name)[0])
    with (
        controlled(ingress, tmp_path / "again") as successor,
        ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection,
    ):
        assert say(connection, "with a new one") in INSTANCES.values()
        assert len(successor.decisions(STEADY[0])) == 1


def test_a_controller_that_comes_back_goes_on_with_the_flows_of_the_switch(
    ingress: IngressNetwork, control: Control
) -> None:
    kinds = [(socket.SOCK_STREAM, TCP_PORT), (socket.SOCK_DGRAM, UDP_PORT)]
    with ExitStack() as opened:
        flows = [
            opened.enter_context(ingress.client_socket(kind, (d_sid, port)))
            for kind, port in kinds
            for d_sid in (*STEADY, *BY_CLIENT)
            for _ in range(3)
        ]
        first = [say(flow, "first") for flow in flows]
        before = cookies(ingress)
        control.end(signal.SIGKILL)
        control.start()
        assert cookies(ingress) == before
        assert [say(flow, "again") for flow in flows] == first
        wait_until(lambda: control.counted("bindings_recovered") * 2 == len(before), what="all to be recovered")
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as new:
            say(new, "a new flow is steered")
        assert len(control.decisions(STEADY[0])) == 1
        added = wait_until(lambda: set(cookies(ingress)) - set(before), what="its entries")
        assert len(added) == 1
    with ingress.client_socket(socket.SOCK_STREAM, (FLEETING[0], TCP_PORT)) as fleeting:
        say(fleeting, "bound for a second")
        control.end(signal.SIGKILL)
        control.start()
    wait_until(
        lambda: not [entry for entry in ingress.affinity_entries() if FLEETING[0] in entry.text],
        20,
        "a flow that was recovered to end when it is idle",
    )


def test_a_switch_that_comes_back_gets_its_flows_back(ingress: IngressNetwork, control: Control) -> None:
    with (
        ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as one,
        ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as other,
    ):
        served_by = {connection: say(connection, "before") for connection in (one, other)}
        before = wait_until(lambda: len(found := cookies(ingress)) == 4 and found, what="two entries for each flow")
        subprocess.run(["ovs-vsctl", "del-controller", ingress.bridge], check=True)
        ingress.ofctl("del-flows", ingress.bridge)  # as if it had lost its power
        assert ingress.entries() == []
        ingress.network.connect_controllers([HOME])
        wait_until(lambda: cookies(ingress) == before, 30, "the flows to be put back")
        for connection, instance in served_by.items():
            assert say(connection, "after") == instance
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as third:
            say(third, "and new flows are steered")
    assert len(control.decisions(STEADY[0])) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_asked_to_end_the_controller_writes_everything_and_exits_with_0(
    ingress: IngressNetwork, tmp_path: Path, number: signal.Signals
) -> None:
    with controlled(ingress, tmp_path, flush_interval_s=2) as control:
        for connections in range(3):
            with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
                say(connection, f"{connections}")
        ingress.tell(EAST, b"junk")  # not flushed yet when it ends
        assert control.end(number) == 0
    assert len(control.decisions(STEADY[0])) == 3
    last = control.table("control")[-1]
    assert None not in last.values()
    assert control.log_path.read_text() == ""


def test_a_switch_of_another_s_is_not_taken_over(ingress: IngressNetwork, control: Control) -> None:
    """Another bridge of the network, with another datapath id, connects to this controller by mistake."""
    stranger = ingress.network.bridge(EAST).name
    subprocess.run(["ovs-vsctl", "set-controller", stranger, target_of(ingress)], check=True)
    ingress.ofctl("add-flow", stranger, "priority=0,actions=NORMAL")  # its tables are empty with its first controller
    try:
        wait_until(lambda: "is not ours" in control.log_path.read_text(), 30, "the stranger to be noticed")
        assert all(f"ipv4_dst={STEADY[0]}" not in line for line in ingress.ofctl("dump-flows", stranger).splitlines())
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
            say(connection, "our own is served on")
    finally:
        subprocess.run(["ovs-vsctl", "del-controller", stranger], check=True)
        ingress.ofctl("add-flow", stranger, "priority=0,actions=NORMAL")


def test_a_second_session_of_its_own_switch_is_refused(ingress: IngressNetwork, control: Control) -> None:
    """Another bridge says that it is this one, while this one's session lives."""
    own, poser = ingress.network.bridge(HOME), "dyposer"
    of = ["datapath_type=netdev", "protocols=OpenFlow13", f"other_config:datapath-id={own.datapath_id:016x}"]
    create = ["add-br", poser, "--", "set", "Bridge", poser, *of]
    subprocess.run(["ovs-vsctl", *create, "--", "set-controller", poser, target_of(ingress)], check=True)
    try:
        wait_until(lambda: control.counted("switch_sessions_refused") > 0, 30, "the second session to be refused")
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
            say(connection, "our own is served on")
        assert control.counted("switch_lost") == 0
    finally:
        subprocess.run(["ovs-vsctl", "del-br", poser], check=True)


_CONNECT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as session:
    sys.stdout.buffer.write(session.recv(1))
"""


@pytest.mark.parametrize(("user", "greeting"), [(0, b"\x04"), (65534, b"")], ids=["root", "another"])
def test_no_other_user_can_pose_as_its_switch(
    ingress: IngressNetwork, control: Control, user: int, greeting: bytes
) -> None:
    argv = ["/usr/bin/python3", "-c", _CONNECT, target_of(ingress).rpartition(":")[2]]
    assert subprocess.run(argv, user=user, stdout=subprocess.PIPE, check=False).stdout == greeting
    with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
        say(connection, "the switch is served on")
    assert control.counted("switch_lost") == 0


def test_nobody_takes_the_port_of_a_controller_that_is_not_there(ingress: IngressNetwork, control: Control) -> None:
    control.end(signal.SIGKILL)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", int(target_of(ingress).rpartition(":")[2])))


def test_of_made_up_addresses_that_probes_are_answered_to_a_hundred_are_counted(
    ingress: IngressNetwork, control: Control
) -> None:
    for number in range(1, 151):
        with socket_in(ingress.network.pid(HOME), socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((f"127.0.1.{number}", 0))
            probe = codec.encode(Probe(EAST, number, time.monotonic()))
            stranger.sendto(probe, (ingress.gateway(HOME), IN_BAND_PORT))

    def answered() -> set[str]:
        rows = control.table("control")
        return {row["peer"] for row in rows if (row["direction"], row["kind"]) == ("sent", "probe_reply")}

    wait_until(lambda: "others" in answered(), 20, "answers to others than the first hundred")
    assert len(answered()) <= 101 + len(INSTANCES)
