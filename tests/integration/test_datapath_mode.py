"""What only datapath mode promises: it goes on without its control process, and says when it cannot."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from testbed.dyncast.metrics.levels import State
from testbed.linux import kernel_conntrack
from testbed.runtime.polling import wait_until
from tests.integration.echo_server import TCP_PORT, UDP_PORT
from tests.integration.ingress_network import (
    BY_CLIENT,
    CLIENT,
    INSTANCES,
    NEIGHBOUR,
    SERVICES,
    STEADY,
    Control,
    IngressNetwork,
    controlled,
    say,
)
from tests.integration.test_affinity_modes import asked, tell

pytestmark = pytest.mark.root

HELD = 8  # connections that there are when there is no room for more


@contextmanager
def in_datapath_mode(ingress: IngressNetwork, folder: Path, **changes: object) -> Iterator[Control]:
    with controlled(ingress, folder, mode="datapath", **changes) as control:
        yield control


def appctl(*arguments: str) -> str:
    return subprocess.run(
        ["ovs-appctl", *arguments], capture_output=True, text=True, check=True, timeout=20
    ).stdout.strip()


@contextmanager
def going_on_to_report(ingress: IngressNetwork) -> Iterator[None]:
    """Both instances are reported all the time; else they would be given up when what is known of them grows old."""
    stop = threading.Event()

    def report() -> None:
        while not stop.wait(0.3):
            for site in INSTANCES:
                ingress.report(site)

    reporting = threading.Thread(target=report)
    reporting.start()
    try:
        yield
    finally:
        stop.set()
        reporting.join(30)


def test_without_the_control_process_flows_old_and_new_go_on_and_its_return_breaks_none(
    ingress: IngressNetwork, tmp_path: Path
) -> None:
    with in_datapath_mode(ingress, tmp_path, metric_lifetime_s=2) as control, ExitStack() as opened:
        kinds = [(socket.SOCK_STREAM, TCP_PORT), (socket.SOCK_DGRAM, UDP_PORT)]
        with going_on_to_report(ingress):
            flows = [
                opened.enter_context(ingress.client_socket(kind, (d_sid, port)))
                for kind, port in kinds
                for d_sid in (*STEADY, *BY_CLIENT)
                for _ in range(4)
            ]
            first = [say(flow, "first") for flow in flows]

        assert control.end(signal.SIGKILL) == -signal.SIGKILL
        assert [say(flow, "alone") for flow in flows] == first
        for kind, port in kinds:
            for d_sid in STEADY:
                assert set(asked(ingress, d_sid, kind, port, 16)) == set(INSTANCES.values())

        broken: list[str] = []
        stop = threading.Event()

        def keep_talking() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                for flow, instance in zip(flows, first, strict=True):
                    try:
                        if say(flow, f"line {number}") != instance:
                            broken.append(f"{flow.getpeername()} moved")
                    except Exception as error:  # whatever it is, the flow is broken
                        broken.append(f"{flow.getpeername()}: {error}")
                        return

        def generations() -> set[int]:
            return {entry.cookie >> 40 & 0xFF for entry in ingress.entries() if entry.cookie >> 48 in (0xD3, 0xD4)}

        talking = threading.Thread(target=keep_talking)
        talking.start()
        try:
            old = generations()
            with going_on_to_report(ingress):
                control.start(report=False)
                wait_until(lambda: len(generations() - old) == 1, 20, "the new process to write its own entries")
                wait_until(lambda: len(generations()) == 1, 20, "the old entries to be taken away")
                asked(ingress, STEADY[0], socket.SOCK_STREAM, TCP_PORT, 8)
        finally:
            stop.set()
            talking.join(30)
        assert not broken


@pytest.mark.parametrize("feature", ["ct_state", "ct_zone"])
def test_a_switch_that_cannot_track_connections_is_served_reactively(
    ingress: IngressNetwork, tmp_path: Path, feature: str
) -> None:
    appctl("dpif/set-dp-features", ingress.bridge, feature, "false")
    try:
        with in_datapath_mode(ingress, tmp_path) as control:
            answers = asked(ingress, STEADY[0], socket.SOCK_STREAM, TCP_PORT, 8)
            assert sum(answers.values()) == 8
            assert len(control.decisions(STEADY[0])) == 8
            assert control.counted("fell_back_to_reactive") == len(SERVICES)
            assert "it is reactive now" in control.log_path.read_text()
    finally:
        appctl("dpif/set-dp-features", ingress.bridge, feature, "true")


def test_each_flow_that_the_switch_gave_is_counted_once(ingress: IngressNetwork, tmp_path: Path) -> None:
    with in_datapath_mode(ingress, tmp_path) as control, ExitStack() as opened:
        for expected in (16, 32):
            for d_sid in STEADY * 8:
                flow = opened.enter_context(ingress.client_socket(socket.SOCK_STREAM, (d_sid, TCP_PORT)))
                say(flow, "first")
                say(flow, "and again")

            def counted(least: int = expected) -> bool:
                return control.counted("flows_given") >= least

            wait_until(counted, 20, "the flows to be counted")
            assert control.counted("flows_given") == expected


@contextmanager
def no_room_for_connections(datapath: str) -> Iterator[int]:
    """Connections that there are may stay; yields how many there may be at most.

    The kernel's limit is that of all namespaces, this machine's own connections included.
    """
    if datapath == "system":
        if not os.environ.get("CI"):
            pytest.skip(
                "takes the room for new connections from the whole machine; with CI=true in the environment it runs"
            )
        room, least = kernel_conntrack.LIMIT.read_text(), HELD
        put: Callable[[str], object] = kernel_conntrack.LIMIT.write_text
    else:
        name = "netdev@ovs-netdev"
        room, least = appctl("dpctl/ct-get-maxconns", name), int(appctl("dpctl/ct-get-nconns", name))
        put = partial(appctl, "dpctl/ct-set-maxconns", name)
    try:
        put(str(least))
        yield least
    finally:
        put(room)


def test_a_full_table_of_connections_is_noticed_counted_and_refuses_at_once(
    ingress: IngressNetwork, tmp_path: Path
) -> None:
    datapath = ingress.network.backends.datapath
    # The kernel drops what finds no room before any entry could refuse it.
    refusal = TimeoutError if datapath == "system" else ConnectionRefusedError
    with in_datapath_mode(ingress, tmp_path) as control, ExitStack() as opened:
        steady = STEADY[0], TCP_PORT
        held = [opened.enter_context(ingress.client_socket(socket.SOCK_STREAM, steady)) for _ in range(HELD)]
        first = [say(flow, "first") for flow in held]
        before = control.counted("refused_conntrack_full")
        with no_room_for_connections(datapath) as limit:
            # Of another client: where the kernel tracks connections in each namespace, too, there is room in its own.
            flow = opened.enter_context(ingress.client_socket(socket.SOCK_DGRAM, (STEADY[0], UDP_PORT), host=NEIGHBOUR))
            flow.settimeout(5)
            with pytest.raises(refusal):
                say(flow, "is there room?")
            assert [say(flow, "still there?") for flow in held] == first
            wait_until(
                lambda: control.counted("refused_conntrack_full") > before, 20, "the refused connection to be counted"
            )
            said = control.log_path.read_text()
            assert re.search(rf"the connection table is full \(\d+ of {limit} entries\): \d+ packets", said), said
        asked(ingress, STEADY[0], socket.SOCK_DGRAM, UDP_PORT, 2)


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_errors_and_pings_are_rewritten_too_and_what_speaks_to_the_d_bid_is_left_alone(
    ingress: IngressNetwork, tmp_path: Path, family: int
) -> None:
    with in_datapath_mode(ingress, tmp_path):
        with ingress.client_socket(socket.SOCK_DGRAM, (STEADY[family], 9)) as flow:  # nobody listens there
            flow.settimeout(5)
            flow.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                flow.recv(100)
        d_bid = ingress.addresses(next(iter(INSTANCES.values())))[family]
        for address in (STEADY[family], d_bid, STEADY[family], BY_CLIENT[family], d_bid):
            ping = ["ping", "-n", "-c", "1", "-W", "5", address]
            done = ingress.network.run(CLIENT, ping, timeout_s=30)
            assert done.returncode == 0 and f"from {address}" in done.stdout, done.stdout


def test_a_service_may_have_connections_reset_instead(ingress: IngressNetwork, tmp_path: Path) -> None:
    with in_datapath_mode(ingress, tmp_path) as control:
        for site in INSTANCES:
            tell(ingress, control, site, State.DRAINING)
        with pytest.raises(ConnectionRefusedError):
            asked(ingress, BY_CLIENT[0], socket.SOCK_STREAM, TCP_PORT, 1)
        with pytest.raises(OSError, match=r"unreachable|No route"):
            asked(ingress, STEADY[0], socket.SOCK_STREAM, TCP_PORT, 1)
