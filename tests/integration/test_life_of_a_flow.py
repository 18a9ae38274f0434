"""The life of a flow, from its first fragment to what comes after its end: one suite, in all modes, in both families.

A client at one site, instances there and at another. After each test the client has seen no packet under the address of
an instance.
"""

from __future__ import annotations

import hashlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from testbed.emulation.machine.capabilities import probe
from testbed.emulation.netns.namespaces import entered, socket_in
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.scenario.file import parse
from testbed.runtime.polling import wait_until
from tests.integration.life_network import (
    ASKS,
    BRIEF,
    BRIEF_S,
    BY_CLIENT,
    CLIENT,
    CLOSED_S,
    D_SIDS,
    HERE,
    LASTING,
    LISTENS,
    MODES,
    PORT,
    THERE,
    Life,
    document,
    family,
    outcome,
    reset_at_end,
    say,
    unreachable,
    wait_until_closed,
)
from tests.packet_samples import built, pieces
from tests.scenarios import dyncast_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

FAMILIES = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
IDENTIFIERS = pytest.mark.parametrize("name", [LASTING, BY_CLIENT])


@pytest.fixture(scope="module", params=MODES)
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    if request.param == "tunnel" and not probe().row("vxlan").present:
        pytest.skip("capability vxlan is missing")
    folder = tmp_path_factory.mktemp(request.param)
    plan = dyncast_plan(parse(document(request.param), "life"), folder / "life.yaml")
    with (
        Testbed(plan, folder, folder / "logs") as testbed,
        socket_in(testbed.network.pid(CLIENT), socket.AF_PACKET, socket.SOCK_RAW) as sniffer,
    ):
        sniffer.setblocking(False)
        sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: it is read after each test
        sniffer.bind(("eth0", 3))  # ETH_P_ALL
        yield Life(testbed, request.param, sniffer)


@pytest.fixture(autouse=True)
def no_strangers(life: Life) -> Iterator[None]:
    life.strangers()
    yield
    assert not life.strangers()


# -- fragments -------------------------------------------------------------------------------------------------------


@FAMILIES
@IDENTIFIERS
def test_large_datagrams_pass_whole_both_ways_be_they_the_first_of_their_flow_or_not(
    life: Life, name: str, version: int
) -> None:
    # In datapath mode Open vSwitch's userspace datapath takes 32 fragments of a datagram, and no more.
    for size in (3000, 9000, 1473, 45_000 if life.joins_in_userspace else 60_000):
        with life.client(socket.SOCK_DGRAM, D_SIDS[name, version]) as flow:
            content = random.Random(size).randbytes(size)
            flow.send(content)
            instance, digest = flow.recv(65535).decode().split()
            assert digest == hashlib.sha256(content).hexdigest()
            flow.send(f"give {size}".encode())
            assert flow.recv(65535) == f"{instance} ".encode().ljust(size, b".")
            flow.send(b"who")
            assert flow.recv(65535).decode() == instance


@FAMILIES
@IDENTIFIERS
@pytest.mark.parametrize("seed", range(3))
def test_a_datagram_passes_whole_however_it_is_cut_and_in_whatever_order_its_parts_come(
    life: Life, name: str, version: int, seed: int
) -> None:
    rng, d_sid = random.Random(seed), D_SIDS[name, version]
    content = rng.randbytes(rng.randrange(3000, 6000))
    least = 50 if life.joins_in_userspace else 1  # it takes none of less than 400 octets
    sizes = rng.choices(range(least, 181), k=len(content) // 8)
    with life.client(socket.SOCK_DGRAM, d_sid) as flow:
        ends = {"src": life.address(CLIENT, version), "dst": d_sid}
        header = IP(**ends, id=seed + 7) if version == 4 else IPv6(**ends)
        whole = built(header / UDP(sport=flow.getsockname()[1], dport=PORT) / content)
        parts = pieces(version, whole, sizes, seed + 7)
        rng.shuffle(parts)
        life.inject(CLIENT, version, parts)
        assert flow.recv(65535).decode().split()[1] == hashlib.sha256(content).hexdigest()


# -- ICMP errors -----------------------------------------------------------------------------------------------------


@FAMILIES
@IDENTIFIERS
def test_a_client_learns_that_nobody_listens(life: Life, name: str, version: int) -> None:
    for _ in range(2):  # one after the other: an instance here, one there
        with life.client(socket.SOCK_DGRAM, D_SIDS[name, version], port=9) as flow:
            flow.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                flow.recv(100)


@FAMILIES
@IDENTIFIERS
def test_an_instance_learns_that_a_client_has_gone(life: Life, name: str, version: int) -> None:
    d_sid = D_SIDS[name, version]
    with life.client(socket.SOCK_DGRAM, d_sid) as flow:
        flow.send(b"late 0.3")
        port = flow.getsockname()[1]
    answers: set[str] = set()

    def has_sent() -> bool:  # whichever of the two it was
        with life.client(socket.SOCK_DGRAM, d_sid) as asking:
            answers.update(outcome(asking, port).split())
        return "done" in answers

    wait_until(has_sent, 20, "the instance to have sent")
    assert "ECONNREFUSED" in answers


@FAMILIES
def test_an_upload_gets_through_a_link_that_has_become_narrow(life: Life, version: int) -> None:
    beyond = life.address(life.instances[BRIEF, version], version)
    with (
        life.narrowed(str(life.testbed.network.plan.site(THERE).gateway4.ip) if life.mode == "tunnel" else beyond),
        life.client(socket.SOCK_STREAM, D_SIDS[BRIEF, version]) as flow,
    ):
        flow.sendall(b"upload 300000\n" + bytes(300_000))
        assert flow.makefile().readline().strip() == f"{BRIEF}-{version}-1@{THERE}"


@FAMILIES
def test_errors_about_what_is_not_bound_are_left_alone_or_dropped(life: Life, version: int) -> None:
    client, d_sid = life.address(CLIENT, version), D_SIDS[LASTING, version]
    d_bid = life.address(life.instances[BRIEF, version], version)
    gateway = life.testbed.network.plan.site(HERE)
    router = str((gateway.gateway4 if version == 4 else gateway.gateway6).ip)
    with entered(life.testbed.network.pid(CLIENT)):
        proto = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        received = socket.socket(family(version), socket.SOCK_RAW, proto)
    with received:
        received.settimeout(20)
        life.inject(HERE, version, [unreachable(version, (router, client), (client, d_bid))])
        said = received.recv(2000)
        while ip_address(d_bid).packed not in said:  # neighbours speak, too
            said = received.recv(2000)
        assert ip_address(d_sid).packed not in said
    before = life.counted("dropped_error_of_no_flow")
    life.inject(CLIENT, version, [unreachable(version, (client, d_sid), (d_sid, client))])
    if life.mode != "datapath":
        wait_until(lambda: life.counted("dropped_error_of_no_flow") > before, 20, "the error to be dropped")


# -- ends ------------------------------------------------------------------------------------------------------------


def test_what_one_side_has_closed_is_answered_as_late_as_any_flow(life: Life) -> None:
    with ExitStack() as opened:
        flows = {}
        for name in (LASTING, BY_CLIENT):
            for version in (4, 6):
                flow = opened.enter_context(life.client(socket.SOCK_STREAM, D_SIDS[name, version]))
                flow.sendall(f"half {CLOSED_S + 2}\n".encode())
                flow.shutdown(socket.SHUT_WR)
                flows[name, version] = flow
        answers = {key: flow.makefile().readline() for key, flow in flows.items()}
        assert all(answer.startswith(f"{name}-{version}") for (name, version), answer in answers.items()), answers


@FAMILIES
@pytest.mark.parametrize("away_s", [0.0, 0.3, 1.5])
def test_a_client_that_lost_power_gets_through_by_the_same_port(life: Life, version: int, away_s: float) -> None:
    d_sid, port = D_SIDS[LASTING, version], 40_000 + round(10 * away_s)
    with life.client(socket.SOCK_STREAM, d_sid, own_port=port) as flow:
        flow.sendall(b"half 1\n")
        try:
            flow.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR: it closes without a word
        except OSError as error:
            pytest.skip(f"no TCP_REPAIR here: {error}")
    time.sleep(away_s)  # as long as it takes to come back: its new sequence numbers begin the further from the old
    with life.client(socket.SOCK_STREAM, d_sid, own_port=port) as flow:
        assert say(flow, "who").startswith(LASTING)


@FAMILIES
def test_a_client_that_reset_its_connection_gets_through_by_the_same_port(life: Life, version: int) -> None:
    d_sid = D_SIDS[LASTING, version]
    for _ in range(3):
        with life.client(socket.SOCK_STREAM, d_sid, own_port=41_000 + version) as flow:
            assert say(flow, "who").startswith(LASTING)
            reset_at_end(flow)


def test_lives_in_any_order_by_few_ports_are_each_served(life: Life) -> None:
    """As many clients as there are seeds, families and ways to identify a flow, side by side."""
    kinds = [(seed, name, version) for seed in range(2) for name in (LASTING, BY_CLIENT) for version in (4, 6)]
    with ThreadPoolExecutor(len(kinds)) as threads:
        for lives in [threads.submit(live, life, *kind) for kind in kinds]:
            lives.result()


def live(life: Life, seed: int, name: str, version: int) -> None:
    """Have sixteen flows, one after the other, by three ports of their own."""
    rng, d_sid = random.Random(seed), D_SIDS[name, version]
    ports = [42_000 + 1000 * (name == BY_CLIENT) + 100 * seed + 10 * version + number for number in range(3)]

    def answered(line: str, *, own_port: int = 0, then: Callable[[socket.socket], None] = wait_until_closed) -> None:
        with life.client(socket.SOCK_STREAM, d_sid, own_port=own_port) as flow:
            assert say(flow, line).startswith(name)
            then(flow)

    def half_closed() -> None:
        with life.client(socket.SOCK_STREAM, d_sid) as flow:
            flow.sendall(b"half 0.2\n")
            flow.shutdown(socket.SHUT_WR)
            assert flow.makefile().readline().startswith(name)

    def large() -> None:
        with life.client(socket.SOCK_DGRAM, d_sid) as flow:
            flow.settimeout(5)

            def is_served() -> bool:  # a busy machine may lose a datagram
                flow.send(b"give 5000")
                with suppress(TimeoutError):
                    return len(flow.recv(65535)) == 5000
                return False

            wait_until(is_served, 20, what="an answer of 5000 octets")

    def refused() -> None:
        with life.client(socket.SOCK_DGRAM, d_sid, port=9) as flow:
            flow.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                flow.recv(100)

    for step in rng.choices(("answered", "pushed", "reset", "half closed", "large", "refused"), k=16):
        port = rng.choice(ports)
        if step == "answered":
            answered("who", own_port=port)
        elif step == "pushed":
            answered("push 0.2", own_port=port)
        elif step == "reset":
            answered("who", own_port=port, then=reset_at_end)
        else:
            {"half closed": half_closed, "large": large, "refused": refused}[step]()


# -- hairpins --------------------------------------------------------------------------------------------------------


@FAMILIES
@IDENTIFIERS
def test_an_instance_that_calls_its_own_service_is_served(life: Life, name: str, version: int) -> None:
    d_sid = D_SIDS[name, version]
    for _ in range(4):
        assert life.ask(d_sid, f"call {d_sid} {PORT}").startswith(name)


@FAMILIES
def test_the_only_instance_is_refused_at_once_when_it_calls_itself_and_that_is_counted(
    life: Life, version: int
) -> None:
    def refused() -> int:
        return life.counted("refused_hairpin") + life.counted("refused_by_switch")

    before, d_sid = refused(), D_SIDS[BRIEF, version]
    begun_s = time.monotonic()
    answer = life.ask(d_sid, f"call {d_sid} {PORT}")
    if life.mode == "tunnel":  # the D-SID is its own: the call never leaves it
        assert answer.startswith(BRIEF)
    else:
        assert answer in ("ENETUNREACH", "EHOSTUNREACH", "ECONNREFUSED"), answer
        wait_until(lambda: refused() > before, 20, "the refusal to be counted")
    assert time.monotonic() - begun_s < 20


# -- after the end ---------------------------------------------------------------------------------------------------


def test_what_an_instance_sends_after_the_end_of_a_flow_does_not_come_under_its_own_address(life: Life) -> None:
    with ExitStack() as opened:
        flows = []
        for version in (4, 6):
            kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
            flows.append([opened.enter_context(life.client(kind, D_SIDS[BRIEF, version])) for kind in kinds])
        for datagrams, stream, _ in flows:
            datagrams.send(f"late {4 * BRIEF_S}".encode())
            stream.sendall(f"push {4 * BRIEF_S}\n".encode())
        for datagrams, _, asking in flows:
            port = datagrams.getsockname()[1]
            wait_until(lambda: outcome(asking, port) != "-", 30, "the instance to have sent")  # noqa: B023


@FAMILIES
def test_no_segment_after_the_end_of_a_connection_comes_under_the_instance_s_own_address(
    life: Life, version: int
) -> None:
    """Segments that no program sends on purpose, each after a connection of its own; those of UDP have the same way."""
    d_sid, host = D_SIDS[BRIEF, version], life.instances[BRIEF, version]
    ends = {"src": life.address(host, version), "dst": life.address(CLIENT, version)}
    header = IP(**ends) if version == 4 else IPv6(**ends)
    segments = []
    for flags in ("A", "PA", "FA", "R", "RA", "SA"):
        with life.client(socket.SOCK_STREAM, d_sid) as flow:
            assert say(flow, "who").startswith(BRIEF)
            port = flow.getsockname()[1]
        segments.append(header / TCP(sport=PORT, dport=port, flags=flags, seq=1, ack=1) / b"late")
    ports = {segment[TCP].dport for segment in segments}
    wait_until(lambda: not ports & life.bound_ports(d_sid), 30, "the bindings to end")
    before = life.counted("dropped_after_end")
    life.inject(host, version, segments)
    if life.mode != "tunnel":
        all_dropped = before + len(segments)
        wait_until(lambda: life.counted("dropped_after_end") >= all_dropped, 40, "each of the segments to be dropped")


@FAMILIES
def test_direct_conversations_go_on_either_way(life: Life, version: int) -> None:
    host = life.instances[BRIEF, version]
    instance, client = life.address(host, version), life.address(CLIENT, version)
    with life.client(socket.SOCK_STREAM, instance, own_port=ASKS) as flow:
        assert say(flow, "who").startswith(BRIEF)
    with life.client(socket.SOCK_DGRAM, instance, own_port=ASKS) as flow:
        if life.mode != "tunnel":  # where it serves the D-SID alone
            flow.send(bytes(4000))
            assert flow.recv(65535).decode().startswith(BRIEF)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with (
            socket_in(life.testbed.network.pid(CLIENT), family(version), kind) as waiting,
            socket_in(life.testbed.network.pid(host), family(version), kind) as own,
        ):
            waiting.settimeout(20)
            own.settimeout(20)
            waiting.bind((client, LISTENS))
            if kind == socket.SOCK_STREAM:
                waiting.listen()
            own.connect((client, LISTENS))
            own.send(b"first")
            with waiting.accept()[0] if kind == socket.SOCK_STREAM else waiting as arrived:
                arrived.settimeout(20)
                assert arrived.recv(100) == b"first"
