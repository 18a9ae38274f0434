"""Services steered by tunnel, for real: what is on the wire, what instances and clients see, who is bound where."""

from __future__ import annotations

import csv
import json
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.emulation.machine.capabilities import Capability, probe
from testbed.emulation.netns.namespaces import entered, socket_in
from testbed.emulation.switches.tunnels import DST_PORT
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.systems.dyncast.launch.running import RunningDyncast
from testbed.runtime.polling import wait_until
from tests.machine import dyncast, start_dyncast, unchanged
from tests.scenarios import EXAMPLES, small_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

CLIENT = "client-1@east"
WEB = {4: "203.0.113.10", 6: "2001:db8:5::10"}  # an instance here, one there; taken in turns
CALL = {4: "203.0.113.11", 6: "2001:db8:5::11"}  # two instances there; the egress takes them in turns
BRIEF, TIMEOUT_S = "203.0.113.12", 1
_CALL_PORT = 5004
_ETH_HEADER, _VXLAN_HEADER = 14, 8


def vxlan() -> Capability:
    return probe().row("vxlan")


def _inspect(testbed: Testbed, site: str, section: str) -> list[dict[str, Any]]:
    return RunningDyncast.of(testbed).inspect(site, section)


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    if not vxlan().present:
        pytest.skip(f"capability vxlan is missing: {vxlan().detail}")
    folder = tmp_path_factory.mktemp("tunnels")
    tunnelled = {"steering": "tunnel", "policy": "round_robin"}
    by_site = {"steering": "tunnel", "choice": "site", "local_policy": "round_robin", "kind": "rtp"}
    plan = small_plan(
        services={
            "web": {"d_sid": WEB[4], **tunnelled},
            "web6": {"d_sid": WEB[6], **tunnelled},
            "call": {"d_sid": CALL[4], **by_site},
            "call6": {"d_sid": CALL[6], **by_site},
            "brief": {"d_sid": BRIEF, **by_site, "affinity": {"timeout_s": TIMEOUT_S}},
        },
        instances=[
            *({"service": name, "site": site} for name in ("web", "web6") for site in ("east", "middle")),
            *({"service": name, "site": "middle", "count": 2} for name in ("call", "call6")),
            {"service": "brief", "site": "middle"},
        ],
        workloads=[],
        metrics={"interval_s": 0.2},
    )
    with unchanged(), Testbed(plan, folder, folder / "logs") as up:
        yield up


class Capture:
    """What goes over one interface of a node, as a raw socket sees it."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self.frames: list[bytes] = []

    def until(self, condition: Callable[[bytes], bool], what: str) -> bytes:
        """Return the first frame, of those seen or to come, for which a condition holds."""

        def found() -> list[bytes]:
            while True:
                try:
                    self.frames.append(self._raw.recv(4096))
                except BlockingIOError:
                    return [frame for frame in self.frames if condition(frame)][:1]

        (frame,) = wait_until(found, 20, what)
        return frame


@contextmanager
def capturing(testbed: Testbed, node: str) -> Iterator[Capture]:
    """Capture at the link of a D-Router to the infrastructure, both ways."""
    shown = json.loads(testbed.network.run(node, ["ip", "-json", "link"], 10).stdout)
    (link,) = [item["ifname"] for item in shown if item["ifname"].startswith("r")]
    with socket_in(testbed.network.pid(node), socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.setblocking(False)
        raw.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: it is read when all has gone by
        raw.bind((link, 3))  # ETH_P_ALL
        yield Capture(raw)


def packet_in(frame: bytes) -> tuple[Any, Any, bytes] | None:
    """Source, destination and payload of the IP packet in a frame, where it is UDP, TCP or ICMP without options."""
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == 0x0800:
        return ip_address(frame[26:30]), ip_address(frame[30:34]), frame[34:]
    return (ip_address(frame[22:38]), ip_address(frame[38:54]), frame[54:]) if kind == 0x86DD else None


def tunnelled(frame: bytes) -> bytes | None:
    """The frame inside a VXLAN packet; None for what is none."""
    outer = packet_in(frame)
    if outer is None or frame[23:24] != b"\x11" or len(outer[2]) < 8:
        return None
    (port,) = struct.unpack_from("!H", outer[2], 2)
    return outer[2][8 + _VXLAN_HEADER :] if port == DST_PORT else None


def carries(frame: bytes, d_sid: str, octets: bytes = b"") -> bool:
    inner = tunnelled(frame)
    packet = packet_in(inner) if inner else None
    return packet is not None and packet[1] == ip_address(d_sid) and octets in packet[2]


def ask(testbed: Testbed, d_sid: str, query: str = "", *arguments: str) -> str:
    """Have the client ask for a page; return the instance that answered."""
    host = f"[{d_sid}]" if ":" in d_sid else d_sid
    command = ["curl", "-sS", "-D", "-", "-o", "/dev/null", "--max-time", "20", *arguments, f"http://{host}/{query}"]
    done = testbed.network.run(CLIENT, command, timeout_s=30)
    assert done.stdout.startswith("HTTP/1.1 200"), done.stdout + done.stderr
    return next(line.split(": ")[1] for line in done.stdout.splitlines() if line.startswith("X-Dyncast-Instance"))


@contextmanager
def call(testbed: Testbed, d_sid: str) -> Iterator[socket.socket]:
    """A connected socket of the client: it takes nothing but what comes from the D-SID."""
    family = socket.AF_INET6 if ":" in d_sid else socket.AF_INET
    with socket_in(testbed.network.pid(CLIENT), family, socket.SOCK_DGRAM) as ours:
        ours.settimeout(20)
        ours.connect((d_sid, _CALL_PORT))
        yield ours


def rtp(sequence: int, size: int = 200) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence, sequence * 160, 4711).ljust(size, b"D")


def echoed(ours: socket.socket, packet: bytes) -> None:
    ours.send(packet)
    assert ours.recv(2000)[12:] == packet[12:]


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_reaches_instances_here_and_there_with_the_d_sid_inside_vxlan(testbed: Testbed, family: int) -> None:
    with capturing(testbed, "east") as capture:
        answered = {ask(testbed, WEB[family]) for _ in range(4)}
        assert {name.partition("@")[2] for name in answered} == {"east", "middle"}
        frame = capture.until(lambda frame: carries(frame, WEB[family], b"GET / "), "the request in VXLAN")
    outer = packet_in(frame)
    addresses = testbed.network.plan
    assert outer is not None
    assert outer[:2] == tuple(addresses.site(site).gateway4.ip for site in ("east", "middle"))
    d_sid = ip_address(WEB[family])
    plain = [packet for item in capture.frames if (packet := packet_in(item))]
    assert d_sid not in {dst for _, dst, _ in plain}  # the infrastructure has no way to it
    assert d_sid in {src for src, _, _ in plain}  # it answers as it is


@pytest.mark.parametrize("family", [4, 6])
def test_full_sized_packets_pass_whole(testbed: Testbed, family: int) -> None:
    with capturing(testbed, "east") as capture:
        for _ in range(2):  # one of them to the other site
            body = ["-X", "POST", "-H", "Expect:", "--data-binary", "x" * 100_000]
            ask(testbed, WEB[family], "?bytes=100000", *body)
        with call(testbed, CALL[family]) as ours:
            echoed(ours, rtp(1, 1400))
            largest = rtp(2, 1500 - (28 if family == 4 else 48))
            echoed(ours, largest)
        capture.until(lambda frame: carries(frame, CALL[family], largest), "the largest datagram in VXLAN")
    sizes = [len(inner) - _ETH_HEADER for frame in capture.frames if (inner := tunnelled(frame))]
    assert max(sizes) == 1500
    outer = [frame for frame in capture.frames if tunnelled(frame)]
    assert all(struct.unpack_from("!H", frame, 20)[0] & 0x3FFF == 0 for frame in outer)  # no fragment, nor the first


def test_the_client_pings_the_service_and_pays_a_hop_for_each_d_router_that_steers(testbed: Testbed) -> None:
    def answers(d_sid: str, ttl: int) -> bool:
        command = ["ping", "-c", "1", "-W", "2" if ttl < 3 else "10", "-t", str(ttl), d_sid]
        return testbed.network.run(CLIENT, command, 30).returncode == 0

    assert answers(WEB[4], 2)
    assert answers(CALL[4], 3)
    assert not answers(CALL[4], 1)  # it died at the ingress


@pytest.mark.parametrize("family", [4, 6])
def test_the_ingress_binds_flows_to_the_site_and_the_egress_to_an_instance(testbed: Testbed, family: int) -> None:
    d_sid = CALL[family]
    with call(testbed, d_sid) as one, call(testbed, d_sid) as other:
        for sequence in range(3):
            echoed(one, rtp(sequence))
            echoed(other, rtp(sequence))
        ports = {item.getsockname()[1] for item in (one, other)}
        shown = dyncast("bindings", "--json")
        assert shown.returncode == 0, shown.stderr
        rows = [row for row in json.loads(shown.stdout) if row["d_sid"] == d_sid and row["src_port"] in ports]
        by_router = {site: [row for row in rows if row["d_router"] == site] for site in ("east", "middle")}
        assert [(row["d_bid"], row["egress"]) for row in by_router["east"]] == [(None, "middle")] * 2
        d_bids = {row["d_bid"] for row in by_router["middle"]}
        assert len(d_bids) == 2
        assert {row["egress"] for row in by_router["middle"]} == {"middle"}
        for site, told in (("east", {None}), ("middle", d_bids)):
            flows = [row for row in _inspect(testbed, site, "flows") if row["src_port"] in ports]
            assert {row["d_bid"] for row in flows if row["d_sid"] == d_sid} == told


def test_a_control_process_that_comes_back_keeps_flows_where_they_are(testbed: Testbed) -> None:
    with call(testbed, CALL[4]) as ours:
        echoed(ours, rtp(1))
        port = ours.getsockname()[1]

        def bound(site: str) -> list[Any]:
            return [
                (row["d_bid"], row["egress"]) for row in _inspect(testbed, site, "flows") if row["src_port"] == port
            ]

        before = bound("east"), bound("middle")[0][0]
        for site in ("east", "middle"):
            testbed.processes.kill(f"control@{site}")
            echoed(ours, rtp(2))  # the switch goes on by itself
            RunningDyncast.of(testbed).start_control(site)
            testbed.processes.wait_ready([f"control@{site}"], 60)
        assert (bound("east"), bound("middle")[0][0]) == before
        echoed(ours, rtp(3))


def test_a_flow_that_only_comes_home_stays_bound_at_both_and_an_idle_one_ends_at_both(testbed: Testbed) -> None:
    with call(testbed, BRIEF) as ours:
        echoed(ours, rtp(1))
        client, port = ours.getsockname()
        home = struct.pack(
            "!BBHHHBBH4s4sHHHH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, ip_address(BRIEF).packed,
            ip_address(client).packed, _CALL_PORT, port, 8, 0,
        )  # fmt: skip

        def ages_s() -> list[float]:
            """For how long the flow has been bound, at each D-Router where it is."""
            rows = [row for site in ("east", "middle") for row in _inspect(testbed, site, "flows")]
            return [row["age_s"] for row in rows if row["d_sid"] == BRIEF and row["src_port"] == port]

        # What the instance's socket would send, were it not for its clients to speak first.
        with entered(testbed.network.pid("brief-1@middle")):
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw:

            def send_and_see() -> bool:
                raw.sendto(home, (client, 0))
                assert ours.recv(100) == b""
                ages = ages_s()
                assert len(ages) == 2
                return min(ages) > 3.5 * TIMEOUT_S

            wait_until(send_and_see, 30, "the flow to grow old")
        wait_until(lambda: not ages_s(), 30, "the flow to end at both")


def test_when_an_instance_dies_the_egress_binds_its_flows_anew(testbed: Testbed) -> None:
    with call(testbed, CALL[6]) as ours:
        echoed(ours, rtp(1))
        port = ours.getsockname()[1]

        def bound(site: str) -> str | None:
            return next(
                (row["d_bid"] for row in _inspect(testbed, site, "flows") if row["src_port"] == port),
                "nowhere",
            )

        wait_until(lambda: bound("middle") != "nowhere", 20, "the binding")
        dead = bound("middle")
        names = ("call6-1@middle", "call6-2@middle")
        testbed.processes.kill(next(name for name in names if str(testbed.network.plan.host(name).ipv6.ip) == dead))
        wait_until(lambda: bound("middle") != dead, 20, "the egress to end the binding")
        echoed(ours, rtp(2))
        assert bound("middle") not in (dead, "nowhere")
        assert bound("east") is None  # to the site, as before


def test_nothing_of_a_tunnel_is_left_of_a_killed_run(tmp_path: Path) -> None:
    if not vxlan().present:
        pytest.skip(f"capability vxlan is missing: {vxlan().detail}")
    before = devices()
    with unchanged():
        run = start_dyncast("run", str(EXAMPLES / "tunnel.yaml"), "--out", str(tmp_path), "--set", "duration_s=60")
        wait_until(lambda: list(tmp_path.glob("tunnel/*/work/flows.*.csv")), 60, "traffic")
        assert len(devices()) == len(before) + 2
        run.send_signal(signal.SIGKILL)
        run.wait()
        cleaned = dyncast("clean")
        assert "removed run" in cleaned.stdout, cleaned.stderr
        assert devices() == before


def devices() -> list[str]:
    """The VXLAN devices in the root namespace."""
    done = subprocess.run(["ip", "-br", "link", "show", "type", "vxlan"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["tunnel", "per-site"])
def test_an_example_runs_and_every_flow_stays_with_its_instance(name: str, tmp_path: Path) -> None:
    if not vxlan().present:
        pytest.skip(f"capability vxlan is missing: {vxlan().detail}")
    with unchanged():
        done = dyncast("run", str(EXAMPLES / f"{name}.yaml"), "--out", str(tmp_path), "--set", "duration_s=5")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / name).iterdir()
    run = load(folder)
    assert [check for check in checks(run) if not check.ok] == []
    with (folder / "flows.csv").open(newline="", encoding="utf-8") as stream:
        flows = list(csv.DictReader(stream))
    assert len(flows) > 100
    assert {row["outcome"] for row in flows} == {"ok"}
    with (folder / "decisions.csv").open(newline="", encoding="utf-8") as stream:
        decisions = list(csv.DictReader(stream))
    to_site = [row for row in decisions if not row["d_bid"]]
    assert bool(to_site) == (name == "per-site")
    if to_site:
        assert {row["egress"] for row in to_site} == {"east", "west", "south"}
        chosen = {(row["src"], row["src_port"]): row["egress"] for row in to_site}
        told = {(row["src"], row["src_port"]): (row["d_router"], row["policy"]) for row in decisions if row["d_bid"]}
        assert told == {flow: (egress, run.policy) for flow, egress in chosen.items()}
