"""Looking into a real ingress while it steers, and ending its bindings, whoever bound them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from testbed.dyncast.metrics.levels import State
from testbed.dyncast.nodes.inspection import SECTIONS
from testbed.emulation.inspection import client as inspection
from testbed.runtime.polling import wait_until
from tests.integration.echo_server import TCP_PORT, UDP_PORT
from tests.integration.ingress_network import (
    BY_CLIENT,
    EAST,
    HOME,
    INSTANCES,
    NEIGHBOUR,
    SERVICES,
    STEADY,
    WEST,
    Control,
    IngressNetwork,
    controlled,
    say,
)
from tests.integration.test_affinity_modes import tell
from tests.machine import dyncast

pytestmark = pytest.mark.root

_FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module", params=["reactive", "datapath"])
def control(
    request: pytest.FixtureRequest, ingress: IngressNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Control]:
    with controlled(ingress, tmp_path_factory.mktemp(request.param), mode=request.param) as control:
        yield control


def inspect(ingress: IngressNetwork, *words: str) -> dict[str, Any]:
    done = dyncast("inspect", HOME, *words, "--json", "--run", str(ingress.network.tag), timeout_s=60)
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    assert (document["run"], document["d_router"]) == (str(ingress.network.tag), HOME)
    return dict(document)


def refused(ingress: IngressNetwork, *words: str) -> str:
    done = dyncast("inspect", *words, "--run", str(ingress.network.tag), timeout_s=60)
    assert done.returncode == 1, done.stdout
    return done.stderr


@contextmanager
def bound_to(ingress: IngressNetwork, control: Control, site: str, *d_sids: str) -> Iterator[list[socket.socket]]:
    """A few flows that are all bound to one site's instance, which is draining from then on."""
    away = WEST if site == EAST else EAST
    # A client that was bound before would stay where it was.
    assert dyncast("inspect", HOME, "--reset-flows", "--run", str(ingress.network.tag)).returncode == 0
    with ExitStack() as opened:
        try:
            tell(ingress, control, away, State.DRAINING)
            flows = [
                opened.enter_context(ingress.client_socket(socket.SOCK_DGRAM, (d_sid, UDP_PORT)))
                for d_sid in d_sids
                for _ in range(4)
            ]
            assert {say(flow, "first") for flow in flows} == {INSTANCES[site]}
            tell(ingress, control, away)
            tell(ingress, control, site, State.DRAINING)
            yield flows
        finally:
            for each in INSTANCES:
                tell(ingress, control, each)


# -- looking -----------------------------------------------------------------------------------------


@_FAMILIES
def test_all_sections_tell_of_flows_instances_and_neighbours(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    by_switch = control.mode == "datapath"
    d_bids = {name: ingress.addresses(name)[family] for name in INSTANCES.values()}
    with ingress.client_socket(socket.SOCK_STREAM, (STEADY[family], TCP_PORT)) as flow:
        instance = say(flow, "hello")
        address, port = flow.getsockname()[:2]
        if by_switch:
            wait_until(
                lambda: any(row["flows_given"] for row in inspect(ingress, "services")["services"]),
                what="the switch to be asked for its counts",
            )
        document = inspect(ingress, *SECTIONS, "--all")

    steady = next(row for row in document["services"] if row["d_sid"] == STEADY[family])
    assert (steady["service"], steady["policy"], steady["timeout_s"]) == ("steady", "round_robin", 600)
    assert (steady["bound_by"], steady["usable"]) == ("switch" if by_switch else "d_router", 2)
    assert steady["flows_given" if by_switch else "flows_bound"] >= 1
    assert len(document["services"]) == sum(len(service["d_sids"]) for service in SERVICES)

    known = {row["d_bid"]: row for row in document["bindings"] if row["d_sid"] == STEADY[family]}
    assert set(known) == set(d_bids.values())
    assert {row["egress"] for row in known.values()} == {EAST, WEST}
    assert all(row["state"] == "up" and row["metrics"]["workers"] == 4 for row in known.values())
    assert all(0 <= row["metrics_age_s"] < 600 for row in known.values())

    shares = [row["share"] for row in document["weights"] if row["d_sid"] == STEADY[family]]
    assert shares == [0.5, 0.5]

    (shown,) = [row for row in document["flows"] if row["src_port"] == port and row["d_sid"] == STEADY[family]]
    assert (shown["src"], shown["proto"], shown["dst_port"]) == (address, "tcp", TCP_PORT)
    assert (shown["d_bid"], shown["egress"]) == (d_bids[instance], {INSTANCES[s]: s for s in INSTANCES}[instance])
    assert shown["held_by"] == ("conntrack" if by_switch else "entry")

    assert {row["kind"] for row in document["counters"] if row["direction"] == "local"} >= {"switch_connected"}
    assert {row["site"] for row in document["neighbours"]} == {EAST, WEST}
    assert all(row["probes_sent"] >= 1 and row["reported_ago_s"] >= 0 for row in document["neighbours"])


@pytest.mark.usefixtures("control")
def test_people_get_tables(ingress: IngressNetwork) -> None:
    done = dyncast("inspect", HOME, "--run", str(ingress.network.tag), timeout_s=60)
    assert done.returncode == 0, done.stderr
    for title in ("services", "bindings", "weights", "neighbours"):
        assert f"{title} of {HOME}" in done.stdout
    assert "flows of" not in done.stdout
    for d_sid in STEADY:
        assert d_sid in done.stdout


def test_rows_of_many_flows_are_limited_unless_all_are_asked_for(ingress: IngressNetwork, control: Control) -> None:
    flows = 1500
    expected = set(range(20000, 20000 + flows))
    shown: list[int] = []

    def are_all_shown() -> bool:
        # From a client of its own, whose ports are taken by nobody else; some may find a switch that is busy.
        for port in expected - set(shown):
            with ingress.client_socket(socket.SOCK_DGRAM, (STEADY[0], UDP_PORT), port=port, host=NEIGHBOUR) as flow:
                flow.send(b"hello\n")
        document = inspect(ingress, "flows", "--all")
        assert document["more_flows"] is False
        shown[:] = [row["src_port"] for row in document["flows"] if row["src"] == ingress.addresses(NEIGHBOUR)[0]]
        return set(shown) == expected

    wait_until(are_all_shown, 60, "all flows to be shown")
    assert len(shown) == flows
    document = inspect(ingress, "flows")
    assert (len(document["flows"]), document["more_flows"]) == (20, True)
    assert dyncast("inspect", HOME, "--reset-flows", "--run", str(ingress.network.tag)).returncode == 0
    assert len(inspect(ingress, "flows", "--all")["flows"]) < flows
    assert control.process.poll() is None


@pytest.mark.usefixtures("control")
def test_what_cannot_be_shown_is_said_in_one_line(ingress: IngressNetwork) -> None:
    assert "no D-Router 'nowhere'; there are: east, home, west" in refused(ingress, "nowhere")
    assert f"D-Router {EAST} of run" in refused(ingress, EAST)  # it has no control process here
    assert "its control process does not answer" in refused(ingress, EAST)
    said = refused(ingress, HOME, "--reset-flows", "--service", "unheard-of")
    assert "no service 'unheard-of'; there are: steady, fleeting, by-client" in said
    assert "--reset-flows wants to know of which D-Routers; there are:" in refused(ingress, "--reset-flows")
    done = dyncast("inspect", "--run", "zzzz")
    assert (done.returncode, "no run 'zzzz' is up; there are:" in done.stderr) == (1, True)


@pytest.mark.parametrize("request_", [b"", b"hello", b"[]", b"{}", b'{"section": 7}', b'{"start": -1}', b"x" * 9000])
def test_nonsense_at_the_socket_is_answered_and_harms_nothing(
    ingress: IngressNetwork, control: Control, request_: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        ours.settimeout(10)
        ours.connect(f"\0{inspection.socket_name(ingress.bridge)}")
        ours.sendall(request_ + b"\n")
        assert "error" in json.loads(ours.makefile().readline())
    assert inspect(ingress, "services")["services"]
    assert control.process.poll() is None


# -- reset -------------------------------------------------------------------------------------------


@_FAMILIES
def test_after_a_reset_flows_are_bound_anew_and_it_is_counted(
    ingress: IngressNetwork, control: Control, family: int
) -> None:
    with bound_to(ingress, control, EAST, STEADY[family], BY_CLIENT[family]) as flows:
        assert {say(flow, "still there?") for flow in flows} == {INSTANCES[EAST]}
        before = control.counted("bindings_reset")
        done = dyncast("inspect", HOME, "--reset-flows", "--run", str(ingress.network.tag))
        assert done.returncode == 0, done.stderr
        assert f"{HOME} (run {ingress.network.tag}): " in done.stdout
        assert {say(flow, "and now?") for flow in flows} == {INSTANCES[WEST]}
        # By the D-Router's table the flows of one client are one binding.
        least = 4 + (4 if control.mode == "datapath" else 1)
        wait_until(lambda: control.counted("bindings_reset") >= before + least, what="the reset to be counted")


def test_a_reset_of_one_service_leaves_the_others_bound(ingress: IngressNetwork, control: Control) -> None:
    with bound_to(ingress, control, EAST, STEADY[0], BY_CLIENT[0]) as flows:
        steady, by_client = flows[:4], flows[4:]
        done = dyncast(
            "inspect", HOME, "--reset-flows", "--service", "by-client", "--json", "--run", str(ingress.network.tag)
        )
        assert done.returncode == 0, done.stderr
        (answer,) = json.loads(done.stdout)
        assert answer["bindings_reset"] >= (4 if control.mode == "datapath" else 1)
        assert {say(flow, "by client") for flow in by_client} == {INSTANCES[WEST]}
        assert {say(flow, "steady") for flow in steady} == {INSTANCES[EAST]}
