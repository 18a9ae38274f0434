"""A link is as configured on every pair of backends: measured by ping and iperf3, and by the testbed itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import pytest

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from testbed.emulation import run_tag
from testbed.emulation.links.link_measure import MeasuredDirection, chance_of_losses
from testbed.emulation.machine.capabilities import (
    DATAPATHS,
    LINK_BACKENDS,
    Capabilities,
    CapabilityError,
    choose_backends,
    probe,
)
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.switches import bridges
from testbed.runtime.polling import wait_until
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.spec import Link, LinkSpec, Node, Topology

pytestmark = pytest.mark.root

SPEC = LinkSpec(delay_ms=10, loss_percent=3, rate_mbps=5, queue_packets=400)
ONCE_IN = 1e-5  # so rarely a sound link fails by chance
BUSY_MS = 3.0  # what a busy machine may add, at the fastest of many
PINGS, PING_FRAME_BYTES = 500, 98
SMALL_BYTES, LARGE_BYTES, HEADERS_BYTES = 100, 1448, 42
SECONDS, INTERVAL_S = 3, 0.25
RATE_MBPS = pytest.approx(5.0, rel=0.03)
ATTEMPTS = 4  # a busy machine spoils one or two; a link that is not as configured never seems to be


class Path(NamedTuple):
    """One impaired link, and nothing else, between two nodes."""

    name: str
    near: str
    far: str
    far_address: str
    iperf_port: int  # a D-Router may serve two


class Built(NamedTuple):
    """A network whose every link is impaired alike, and the ways over one of them."""

    network: EmulatedNetwork
    paths: list[Path]


def impaired() -> Topology:
    return Topology(
        "impaired",
        (
            Node("east", D_ROUTER),
            Node("west", D_ROUTER),
            Node("client", CLIENT),
            Node("instance", INSTANCE),
        ),
        (Link("client", "east", SPEC), Link("east", "west", SPEC), Link("instance", "west", SPEC)),
    )


@cache
def capabilities() -> Capabilities:
    return probe()


@pytest.fixture(
    scope="module", params=[(datapath, link) for datapath in DATAPATHS for link in LINK_BACKENDS], ids="-".join
)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    datapath, link = request.param
    try:
        backends = choose_backends(capabilities(), datapath=datapath, link=link)
    except CapabilityError as error:
        pytest.skip(f"capability {error}")
    topology = impaired()
    plan = AddressPlan(topology)
    network = EmulatedNetwork(
        topology, plan, tag=run_tag.claim("test"), backends=backends, work_dir=tmp_path_factory.mktemp("links")
    )
    with network:
        network.start()
        paths = [
            Path("of a client", "client", "east", str(plan.site("east").gateway4.ip), 5201),
            Path("of an instance", "instance", "west", str(plan.site("west").gateway4.ip), 5202),
            Path("between routers", "east", "west", str(plan.link("east", "west")["west"].ipv4.ip), 5203),
        ]
        yield Built(network, paths)


def on_each(built: Built, measure: Any) -> None:
    """Measure all links at once, as they are used."""
    with ThreadPoolExecutor(len(built.paths)) as pool:
        list(pool.map(measure, built.paths))


def test_ping_takes_both_delays_and_loses_twice(built: Built) -> None:
    def ping(path: Path) -> None:
        argv = ["ping", "-n", "-q", "-i", "0.01", "-c", str(PINGS), "-W", "2", path.far_address]
        said = built.network.run(path.near, argv, timeout_s=120).stdout
        received = int(said.split(" received")[0].split()[-1])
        least_ms = float(said.split(" = ")[1].split("/")[0])
        expected_ms = 2 * (SPEC.delay_ms + PING_FRAME_BYTES * 8 / 5e3)
        assert expected_ms <= least_ms + 0.01 <= expected_ms + BUSY_MS, path.name
        assert chance_of_losses(PINGS, PINGS - received, 1 - 0.97**2) > ONCE_IN, (path.name, received)

    on_each(built, ping)


@pytest.mark.parametrize("reverse", [False, True], ids=["there", "back"])
def test_iperf3_finds_rate_and_loss_in_each_direction(built: Built, reverse: bool) -> None:
    if shutil.which("iperf3") is None:
        pytest.skip("capability iperf3 is missing: apt-get install -y iperf3")

    def iperf(path: Path) -> None:
        within = udp(built.network, path, SMALL_BYTES, mbps=1.0, reverse=reverse)
        assert within.received > 1000, (path.name, within)
        assert chance_of_losses(within.received + within.lost, within.lost, 0.03) > ONCE_IN, (path.name, within)
        found: list[float] = []
        while len(found) < ATTEMPTS and found[-1:] != [RATE_MBPS]:
            found.append(udp(built.network, path, LARGE_BYTES, mbps=8.0, reverse=reverse).mbps)
        assert found[-1] == RATE_MBPS, (path.name, found)

    on_each(built, iperf)


class Datagrams(NamedTuple):
    """What iperf3 received, what it missed, and the rate of the frames received while it sent without a break."""

    received: int
    lost: int
    mbps: float


def middle_mbps(intervals: list[dict[str, Any]], payload_bytes: int) -> float:
    """Return the rate of frames without the begin and the end: there iperf3 waits for messages that are lost, too."""
    busy = [each["sum"] for each in intervals if each["sum"]["bytes"]][1:-1]
    frames = sum(int(each["bytes"]) for each in busy) / payload_bytes
    return frames * (payload_bytes + HEADERS_BYTES) * 8e-6 / sum(float(each["seconds"]) for each in busy)


def udp(network: EmulatedNetwork, path: Path, payload_bytes: int, *, mbps: float, reverse: bool) -> Datagrams:
    """Send datagrams for some seconds, from the far end if `reverse`."""
    port = str(path.iperf_port)
    asked = ["iperf3", "--client", path.far_address, "--port", port, "--udp", "--json", "--time", str(SECONDS)]
    asked += ["--interval", str(INTERVAL_S), "--length", str(payload_bytes), "--bitrate", f"{mbps}M"]
    asked += ["--reverse"] if reverse else ["--get-server-output"]  # what the receiver saw
    for _ in range(5):
        with iperf_server(network, path, port):
            found = json.loads(network.run(path.near, asked, timeout_s=120).stdout)
        if "stream socket" not in found.get("error", ""):  # it begins with a datagram that it sends once, lost or not
            break
    assert "error" not in found, found["error"]
    received = found["end"]["sum_received"]
    intervals = (found if reverse else found["server_output_json"])["intervals"]
    return Datagrams(
        received["bytes"] // payload_bytes, received["lost_packets"], middle_mbps(intervals, payload_bytes)
    )


@contextmanager
def iperf_server(network: EmulatedNetwork, path: Path, port: str) -> Iterator[None]:
    argv = ["iperf3", "--server", "--one-off", "--json", "--interval", str(INTERVAL_S), "--port", port]
    server = network.popen(path.far, argv, name="iperf3", log_path=network.work_dir / f"iperf3-{port}.log")
    try:
        listening = ["ss", "-Hltn", f"sport = :{port}"]
        wait_until(lambda: network.run(path.far, listening, timeout_s=10).stdout != "", what="iperf3 to listen")
        yield
    finally:
        server.kill()  # one that waits for a message that was lost does not end when asked to
        server.wait()


def off(network: EmulatedNetwork) -> list[MeasuredDirection]:
    """Return the directions that no measurement finds as configured."""
    wrong = off_now(network.links.measure())
    for _ in range(ATTEMPTS - 1):
        still = {link.name for link in off_now(network.links.measure())} if wrong else set()
        wrong = [link for link in wrong if link.name in still]
    return wrong


def off_now(measured: list[MeasuredDirection]) -> list[MeasuredDirection]:
    """Return the directions that are not as configured."""
    return [
        link
        for link in measured
        if link.early_ms > 0.05 or link.late_ms > BUSY_MS or link.rate_error is None or link.rate_error > 0.05
        or link.loss_chance < ONCE_IN
    ]  # fmt: skip


def test_the_testbed_finds_both_directions_of_all_links_as_configured(built: Built) -> None:
    assert {(link.label, link.direction) for link in built.network.links.measure()} == {
        (label, direction)
        for label in ("client - east", "east - west", "instance - west")
        for direction in ("a_to_b", "b_to_a")
    }
    assert off(built.network) == []


def test_a_link_that_is_no_longer_as_configured_is_found(built: Built) -> None:
    if built.network.backends.link != "netem":
        pytest.skip("capability netem is missing, or is not what impairs here: nothing to take away")
    bridge = built.network.bridge("east")
    port = bridge.interfaces[bridge.ports["client"]]
    subprocess.run(["tc", "qdisc", "del", "dev", port, "root"], check=True)
    try:
        (wrong,) = {link.name for link in off(built.network)}
        assert wrong == "client - east (b_to_a)"
        assert built.network.links.statistics()["links"]["client - east"]["b_to_a"]["in_place"] is False
    finally:
        built.network.cut("client", "east")
        built.network.restore("client", "east")
    assert off(built.network) == []


def test_links_are_as_configured_again_after_they_were_cut_and_the_switch_was_set_up_again(built: Built) -> None:
    ends = [("client", "east"), ("east", "west"), ("instance", "west")]
    for a, b in ends:
        built.network.cut(a, b)
    bridges.vsctl("set", "Bridge", built.network.bridge("east").name, "other_config:mac-aging-time=31")
    assert all(link.received == 0 for link in built.network.links.measure())
    for a, b in ends:
        built.network.restore(a, b)
    assert off(built.network) == []
