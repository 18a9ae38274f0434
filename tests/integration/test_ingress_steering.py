"""Real flows to a D-SID through a real switch: where they go, that they stay there, that nothing is lost."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator

import pytest

from testbed.dyncast.metrics.levels import State
from testbed.runtime.polling import wait_until
from tests.integration.echo_server import TCP_PORT, UDP_PORT
from tests.integration.ingress_network import (
    BY_CLIENT,
    CLIENT,
    DEFERRABLE_PORT,
    EAST,
    FLEETING,
    HOME,
    INSTANCES,
    NEIGHBOUR,
    SERVICES,
    STEADY,
    WEST,
    Control,
    FlowEntry,
    IngressNetwork,
    controlled,
    say,
)

pytestmark = pytest.mark.root

_FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def control(ingress: IngressNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    with controlled(ingress, tmp_path_factory.mktemp("control")) as control:
        yield control


def tell_state(ingress: IngressNetwork, control: Control, state: State, *sites: str) -> None:
    """Report the instances of sites to be up or down, and wait until that was heard."""
    expected = len(control.table("metrics")) + len(sites) * sum(len(item["d_sids"]) for item in SERVICES)
    for site in sites:
        ingress.report(site, state)
    wait_until(lambda: len(control.table("metrics")) >= expected, what="the reports to be heard")


def cookies(ingress: IngressNetwork) -> list[int]:
    return sorted(entry.cookie for entry in ingress.entries())


def port_of(connected: socket.socket) -> int:
    return int(connected.getsockname()[1])


def datagrams(ingress: IngressNetwork, instance: str, payload: str) -> int:
    """How many datagrams with this payload an instance saw."""
    return sum(line.split()[0] == "udp" and line.split()[-1] == payload for line in ingress.seen(instance))


# -- flows -----------------------------------------------------------------------------------------


@_FAMILIES
def test_tcp_connections_to_a_d_sid_are_shared_out_and_each_stays_where_it_is(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    with (
        ingress.client_socket(socket.SOCK_STREAM, (STEADY[family], TCP_PORT)) as one,
        ingress.client_socket(socket.SOCK_STREAM, (STEADY[family], TCP_PORT)) as other,
    ):
        served_by = {connection: say(connection, "first") for connection in (one, other)}
        assert sorted(served_by.values()) == sorted(INSTANCES.values())
        for number in range(20):
            for connection, instance in served_by.items():
                assert say(connection, f"line {number}") == instance
        for connection in served_by:
            assert len(control.decisions(STEADY[family], port_of(connection))) == 1


@_FAMILIES
def test_a_burst_of_a_new_flow_arrives_whole_at_one_instance(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    payloads = [f"burst-{family}-{number}" for number in range(20)]
    with ingress.client_socket(socket.SOCK_DGRAM, (STEADY[family], UDP_PORT)) as flow:
        for payload in payloads:
            flow.send(payload.encode())
        answers = [flow.recv(1000).decode().split() for _ in payloads]
        assert len(control.decisions(STEADY[family], port_of(flow))) == 1
    assert sorted(payload for _, payload in answers) == sorted(payloads)
    (instance,) = {name for name, _ in answers}
    for name in INSTANCES.values():
        expected = 1 if name == instance else 0
        assert [datagrams(ingress, name, payload) for payload in payloads] == [expected] * 20


@_FAMILIES
def test_the_first_datagram_of_a_flow_arrives_exactly_once(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    payload = f"only-one-{family}"
    with ingress.client_socket(socket.SOCK_DGRAM, (STEADY[family], UDP_PORT)) as flow:
        flow.send(payload.encode())
        assert flow.recv(1000).decode().endswith(payload)
        (row,) = control.decisions(STEADY[family], port_of(flow))
    chosen = {ingress.addresses(name)[family]: name for name in INSTANCES.values()}[row["d_bid"]]
    assert {name: datagrams(ingress, name, payload) for name in INSTANCES.values()} == {
        name: int(name == chosen) for name in INSTANCES.values()
    }


@_FAMILIES
@pytest.mark.usefixtures("control")
def test_a_d_sid_answers_pings(ingress: IngressNetwork, family: int) -> None:
    done = ingress.network.run(CLIENT, ["ping", "-n", "-c", "3", "-i", "0.1", "-W", "5", STEADY[family]], timeout_s=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"bytes from {STEADY[family]}") == 3


@_FAMILIES
def test_a_three_tuple_keeps_all_of_a_client_s_connections_together(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    """The neighbour's: whatever comes home to a client from an instance it is bound to is taken for that flow."""
    served_by = set()
    to = (BY_CLIENT[family], TCP_PORT)
    for number in range(4):
        with ingress.client_socket(socket.SOCK_STREAM, to, host=NEIGHBOUR) as connection:
            served_by.add(say(connection, f"{number}"))
    assert len(served_by) == 1
    assert len(control.decisions(BY_CLIENT[family])) == 1


@_FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.usefixtures("control")
def test_the_switch_knows_answers_of_instances_by_both_ports(
    ingress: IngressNetwork, protocol: str, family: int
) -> None:
    """With a wider rule at hand, the first answer of a flow just bound would come from the D-BID."""
    with ingress.client_socket(socket.SOCK_DGRAM, (BY_CLIENT[family], UDP_PORT), host=NEIGHBOUR) as flow:
        instance = say(flow, "hello")  # so that the neighbour is bound by a wide identifier, the client is not
    uplink = ingress.network.bridge(HOME).uplink_port
    for host in (CLIENT, NEIGHBOUR):
        words = {
            f"{protocol}{6 if family else ''}": None,
            "in_port": uplink,
            f"{'ipv6' if family else 'nw'}_src": ingress.addresses(instance)[family],
            f"{'ipv6' if family else 'nw'}_dst": ingress.addresses(host)[family],
            f"{protocol}_src": 5004,
            f"{protocol}_dst": 40000,
        }
        packet = ",".join(word if value is None else f"{word}={value}" for word, value in words.items())
        command = ["ovs-appctl", "ofproto/trace", ingress.bridge, packet]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        (rule,) = (line for line in done.stdout.splitlines() if line.startswith("Megaflow:"))
        assert rule.endswith(",tp_src=5004,tp_dst=40000"), rule


@_FAMILIES
def test_traffic_to_the_instance_itself_is_left_alone(ingress: IngressNetwork, control: Control, family: int) -> None:
    before = control.decisions(STEADY[family]), cookies(ingress)
    for name in INSTANCES.values():
        address = ingress.addresses(name)[family]
        with (
            ingress.client_socket(socket.SOCK_STREAM, (address, TCP_PORT)) as tcp,
            ingress.client_socket(socket.SOCK_DGRAM, (address, UDP_PORT)) as udp,
        ):
            assert say(tcp, "directly") == name
            udp.send(b"directly")
            assert udp.recv(1000).decode() == f"{name} directly"
    assert (control.decisions(STEADY[family]), cookies(ingress)) == before


@pytest.mark.usefixtures("control")
def test_a_port_used_towards_d_bid_and_d_sid_at_once_does_not_mix_them_up(ingress: IngressNetwork) -> None:
    """The same client port to another port of the same instance: only headers of the bound flow are rewritten."""
    with ingress.client_socket(socket.SOCK_DGRAM, (STEADY[0], UDP_PORT), port=31000) as steered:
        steered.send(b"steered")
        name, _ = steered.recv(1000).decode().split()
        with ingress.client_socket(socket.SOCK_STREAM, (ingress.addresses(name)[0], TCP_PORT), port=31000) as direct:
            assert say(direct, "direct") == name
        steered.send(b"again")
        assert steered.recv(1000).decode() == f"{name} again"


def test_an_instance_that_goes_down_gets_no_new_flows_and_keeps_the_old(
    ingress: IngressNetwork, control: Control
) -> None:
    with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
        instance = say(connection, "hello")
        site = {name: site for site, name in INSTANCES.items()}[instance]
        tell_state(ingress, control, State.DOWN, site)
        try:
            for number in range(4):
                with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as later:
                    assert say(later, f"{number}") != instance
            assert say(connection, "still there?") == instance
        finally:
            tell_state(ingress, control, State.UP, site)


def test_without_an_instance_packets_are_refused_and_others_pass(ingress: IngressNetwork, control: Control) -> None:
    before, refused = control.decisions(STEADY[0]), control.counted("refused_no_instance")
    tell_state(ingress, control, State.DOWN, *INSTANCES)
    try:
        with ingress.client_socket(socket.SOCK_DGRAM, (STEADY[0], UDP_PORT)) as flow:
            flow.send(b"nobody there")
            ping = ["ping", "-n", "-c", "1", "-W", "5", ingress.gateway(EAST)]
            assert ingress.network.run(CLIENT, ping, timeout_s=30).returncode == 0
            wait_until(
                lambda: control.counted("refused_no_instance") == refused + 1, what="the refused packet to be counted"
            )
    finally:
        tell_state(ingress, control, State.UP, *INSTANCES)
    assert control.decisions(STEADY[0]) == before


# -- the end of a flow -----------------------------------------------------------------------------


def entries_of(ingress: IngressNetwork, flow: socket.socket) -> list[FlowEntry]:
    """The entries of a flow, both ways."""
    return [entry for entry in ingress.affinity_entries() if entry.names_port(port_of(flow))]


@_FAMILIES
def test_an_idle_flow_leaves_the_switch_and_is_decided_anew(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    with ingress.client_socket(socket.SOCK_DGRAM, (FLEETING[family], UDP_PORT)) as flow:
        flow.send(b"one")
        first = flow.recv(1000).decode().split()[0]
        assert len(entries_of(ingress, flow)) == 2
        wait_until(lambda: not entries_of(ingress, flow), 30, "both entries to leave the table")
        flow.send(b"two")
        second = flow.recv(1000).decode().split()[0]
        assert second != first  # it is the other one's turn
        assert len(control.decisions(FLEETING[family], port_of(flow))) == 2


def test_a_flow_that_only_comes_home_stays_bound(ingress: IngressNetwork, control: Control) -> None:
    with ingress.client_socket(socket.SOCK_DGRAM, (FLEETING[0], UDP_PORT)) as flow:
        flow.send(b"one")
        instance = flow.recv(1000).decode().split()[0]
        flow.send(b"stream")  # by the entry: it counts one packet

        def forward_packets() -> list[int]:
            assert flow.recv(1000).decode() == f"{instance} streams"  # lost, were the way home not rewritten any more
            return [entry.packets for entry in entries_of(ingress, flow) if entry.is_forward]

        wait_until(lambda: forward_packets() == [1], 30, "the client's packet to be counted")
        wait_until(lambda: forward_packets() == [0], 30, "the entry to idle out and be put back")
        for _ in range(20):
            forward_packets()
        flow.send(b"stop")
        wait_until(lambda: datagrams(ingress, instance, "stop"), what="the same instance to hear from the client")
        wait_until(lambda: not entries_of(ingress, flow), 30, "the flow's end, now that both ways are idle")
        assert len(control.decisions(FLEETING[0], port_of(flow))) == 1


# -- in band ---------------------------------------------------------------------------------------


def test_a_decision_rests_on_a_report_that_woke_nobody(ingress: IngressNetwork, control: Control) -> None:
    tell_state(ingress, control, State.DOWN, *INSTANCES)
    control.decisions(STEADY[0])  # all is written
    refused = control.counted("refused_no_instance")
    try:
        ingress.report(EAST, port=DEFERRABLE_PORT)
        ping = ["ping", "-n", "-c", "1", "-W", "5", ingress.gateway(HOME)]
        assert ingress.network.run(EAST, ping, timeout_s=30).returncode == 0  # behind the report, so that it has come
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
            assert say(connection, "here at once") == INSTANCES[EAST]
    finally:
        tell_state(ingress, control, State.UP, *INSTANCES)
    control.decisions(STEADY[0])
    assert control.counted("refused_no_instance") == refused


def test_a_report_that_woke_nobody_is_not_overtaken_by_one_that_does(ingress: IngressNetwork, control: Control) -> None:
    before = len(control.table("metrics"))
    ingress.report(EAST, port=DEFERRABLE_PORT)
    ping = ["ping", "-n", "-c", "1", "-W", "5", ingress.gateway(HOME)]
    assert ingress.network.run(EAST, ping, timeout_s=30).returncode == 0
    ingress.report(EAST)
    of_both = 2 * sum(len(service["d_sids"]) for service in SERVICES)
    wait_until(lambda: len(control.table("metrics")) >= before + of_both, what="both reports to be recorded")
    assert {row["event"] for row in control.table("metrics")[before:]} == {"received"}


def test_malformed_datagrams_are_recorded_and_dropped(ingress: IngressNetwork, control: Control) -> None:
    heard = len(control.table("metrics"))
    dated_at_the_end_of_time = b"\xdc\x01\x02\x01" + struct.pack("!IQ", 1, 2**64 - 1) + b"x"
    bad = (b"", b"junk", b"\xdc\x01\x01\x04" + b"\xff" * 60, bytes(9000), dated_at_the_end_of_time)
    for data in bad:
        ingress.tell(EAST, data)
    wait_until(lambda: len(control.table("metrics")) == heard + len(bad), what="the malformed datagrams to be recorded")
    for row in control.table("metrics")[heard:]:
        assert (row["event"], row["source"], row["d_bid"]) == ("dropped", ingress.gateway(EAST), "")
        assert row["reason"].startswith("malformed: ")
    ingress.report(WEST)
    wait_until(lambda: control.table("metrics")[-1]["event"] == "received", what="a good report after the bad")
    with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as connection:
        assert say(connection, "still steering") in INSTANCES.values()


def test_a_flood_of_malformed_datagrams_is_counted_and_little_of_it_recorded(
    ingress: IngressNetwork, control: Control
) -> None:
    recorded, counted = len(control.table("metrics")), control.counted("messages_malformed")
    for _ in range(200):
        ingress.tell(EAST, b"junk")
    wait_until(lambda: control.counted("messages_malformed") == counted + 200, what="all of them to be counted")
    assert len(control.table("metrics")) - recorded < 100
