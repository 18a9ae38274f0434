"""Every packet of a flow at one instance, while instances come, drain, stop, crash and come back, and weights move.

A real ingress, D-MAs and D-Routers; instances that count what reaches them (`benchmarks.counting.instance`) and report
another load at each poll, ten times a second, so that new flows go now here, now there. UDP flows begin with a burst;
TCP flows are connections. A flow may change its instance only when that has died: each move is held against the death
that explains it, and against what the ingress counted as broken.
"""

from __future__ import annotations

import errno
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from testbed.benchmarks.counting.instance import UDP_PORT
from testbed.benchmarks.counting.testbed import CountingTestbed
from testbed.benchmarks.instruments.frames import ETHERTYPE, Frames, to_gateway
from testbed.benchmarks.instruments.wire import packet_socket
from testbed.emulation.netns.namespaces import socket_in
from testbed.emulation.wiring import HOST_INTERFACE
from testbed.experiment.faults.injector import FaultInjector
from testbed.experiment.progress import Silent
from testbed.experiment.scenario.file import load as load_scenario
from testbed.net.flow_key import UDP
from testbed.records.parts import whole_rows
from testbed.records.writer import RecordWriter
from testbed.runtime.polling import wait_until
from tests.affinity_audit import Life, moves, violations, visits
from tests.scenarios import dyncast_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

D_SID = "203.0.113.10"
TCP_PORT = 80
INGRESS, SITES = "home", ("a", "b", "c")
FIRST_PORT = 10_000
BURST = 3  # packets that a UDP flow begins with
BATCH = 64
LOOK_S = 0.5
ROUND_S = 4.5
FAULTS: list[dict[str, Any]] = [
    {"at_s": 0.5, "until_s": 2.0, "kind": "instance_crash", "instance": "counted-1@a"},
    {"at_s": 0.8, "until_s": 1.6, "kind": "instance_drain", "instance": "counted-1@b"},
    {"at_s": 1.2, "until_s": 2.6, "kind": "instance_stop", "instance": "counted-1@c"},
    {"at_s": 2.2, "until_s": 3.4, "kind": "instance_crash", "instance": "counted-2@b"},
    {"at_s": 2.6, "until_s": 3.6, "kind": "instance_drain", "instance": "counted-1@a"},
    {"at_s": 3.0, "until_s": 4.2, "kind": "instance_crash", "instance": "counted-2@a"},
]
COMES = {"at_s": 1.5, "kind": "instance_start", "instance": "counted-2@c"}
BREAKING = {"instance_crash", "instance_stop"}


@dataclass(frozen=True)
class Size:
    """How much of it: `packets` that arrive at instances, flows, how many of them are TCP, rounds of faults."""

    packets: int
    flows: int
    tcp_flows: int
    rounds: int
    packets_per_s: float


SMALL = Size(packets=40_000, flows=1_000, tcp_flows=100, rounds=1, packets_per_s=15_000)
FULL = Size(packets=1_000_000, flows=10_000, tcp_flows=1_000, rounds=7, packets_per_s=30_000)


@pytest.mark.parametrize("mode", ["reactive", "datapath"])
@pytest.mark.parametrize("size", [SMALL, pytest.param(FULL, marks=pytest.mark.slow)], ids=["small", "full"])
def test_a_flow_stays_at_its_instance_until_that_dies(size: Size, mode: str, tmp_path: Path) -> None:
    with standing(size, mode, tmp_path) as testbed:
        reset_s = offer(testbed, size)
        ingress = f"control@{INGRESS}"
        now_s = time.monotonic()
        wait_until(lambda: counted(tmp_path, ingress, after_s=now_s), what="the counters to be written")
        broken = counted(tmp_path, ingress)["flows_broken"]
        heard = sum(row["event"] == "received" for row in table(tmp_path, f"metrics.{ingress}"))
        weights = {row["time_s"] for row in table(tmp_path, f"weights.{ingress}")}
        seen = visits(testbed.ledgers())
    died_ns = deaths_ns(tmp_path)
    moved = moves(seen)
    of_life = Counter(move.left.life for move in moved)
    packets = sum(visit.packets for of_flow in seen.values() for visit in of_flow)
    print(
        f"{mode}: {packets:,} packets of {len(seen):,} flows at {len(SITES) * 2} instances; {len(died_ns)} deaths, "
        f"{broken} flows broken by them, {len(moved)} of these moved on, {len(reset_s)} connections reset; "
        f"{heard} reports heard, weights told {len(weights)} times; "
        f"moved from: {dict(of_life)}"
    )
    assert violations(moved, died_ns) == []
    assert len(died_ns) == size.rounds * sum(fault["kind"] in BREAKING for fault in FAULTS)
    assert len(moved) <= broken  # each of them was one of those
    assert moved, "no flow was bound to an instance that died: nothing was tried"
    for port, at_s in reset_s.items():  # a connection that comes to another instance is reset by it
        lives = [visit.life for visit in seen.get(("tcp", port), [])]
        assert all(died_ns.get(life, at_s * 1e9 + 1) <= at_s * 1e9 for life in lives[-1:]), (port, at_s, lives)
    assert len(reset_s) < size.tcp_flows  # some stayed where they were all the time
    assert len(seen) >= size.flows - len(reset_s)  # none but connections to who just died came nowhere
    assert heard > 10 * len(SITES)
    assert mode == "reactive" or len(weights) > 10


@contextmanager
def standing(size: Size, mode: str, folder: Path) -> Iterator[CountingTestbed]:
    faults = [
        {**fault, **{key: fault[key] + number * ROUND_S for key in ("at_s", "until_s")}}
        for number in range(size.rounds)
        for fault in FAULTS
    ]
    topology = {
        "name": "star",
        "nodes": [{"name": name, "role": "d_router"} for name in (INGRESS, *SITES)],
        "links": [{"a": INGRESS, "b": site} for site in SITES],
    }
    document = {
        "name": "churn",
        "topology": "star.yaml",
        "services": {"counted": {"d_sid": D_SID, "affinity": {"mode": mode, "timeout_s": 120}}},
        "instances": [{"service": "counted", "site": site, "count": 2, "workers": 4} for site in SITES],
        "clients": [{"site": INGRESS}],
        "policy": "least_loaded",
        "metrics": {"interval_s": 0.1},
        "faults": [*faults, COMES],
        "duration_s": size.rounds * ROUND_S,
    }
    (folder / "star.yaml").write_text(yaml.safe_dump(topology))
    path = folder / "churn.yaml"
    path.write_text(yaml.safe_dump(document))
    with CountingTestbed(dyncast_plan(load_scenario(path), path), folder) as testbed:
        yield testbed


def offer(testbed: CountingTestbed, size: Size) -> dict[int, float]:
    """Send until all faults were done and enough has arrived; return when which connections were reset, by port."""
    ports = range(FIRST_PORT, FIRST_PORT + size.flows)
    every = size.flows // size.tcp_flows
    begin_s = time.monotonic()
    patience_s = 4 * max(size.rounds * ROUND_S, size.packets / size.packets_per_s)
    with RecordWriter(testbed.folder, "faults") as records, ExitStack() as opened:
        injector = FaultInjector(testbed, records, Silent(), begin_s)
        sender = opened.enter_context(Sender(testbed, size))
        begun, next_look_s, arrived = 0, LOOK_S, 0
        while (elapsed_s := time.monotonic() - begin_s) < testbed.plan.scenario.duration_s or arrived < size.packets:
            assert elapsed_s < patience_s, f"{arrived:,} packets have arrived in {elapsed_s:.0f} s"
            injector.step()
            # All flows have begun when half of the faults are over, and so meet the others bound.
            due = min(size.flows, int(2 * size.flows * elapsed_s / testbed.plan.scenario.duration_s))
            for number in range(begun, due):
                sender.begin(ports[number], tcp=number % every == 0)
            begun = max(begun, due)
            sender.go_on(BATCH)
            ahead_s = sender.sent / size.packets_per_s - elapsed_s
            if ahead_s > 0:
                time.sleep(ahead_s)
            if elapsed_s > next_look_s:
                next_look_s = elapsed_s + LOOK_S
                arrived = sum(ledger.total() for _, _, ledger in testbed.ledgers())
        return sender.reset_s


class Sender:
    """The flows of the client, one packet of each in turn."""

    def __init__(self, testbed: CountingTestbed, size: Size) -> None:
        (client,) = testbed.plan.clients
        addresses = testbed.plan.addresses
        self._address = str(addresses.host(client.name).ipv4.ip)
        self._pid = testbed.network.pid(client.name)
        link = to_gateway(addresses, client.name, INGRESS)
        src, dst = (ip_address(text).packed for text in (self._address, D_SID))
        self._frames = Frames(link, src, dst, UDP, UDP_PORT, payload_bytes=22)
        self._wire = packet_socket(SimpleNamespace(pid=self._pid), HOST_INTERFACE, ETHERTYPE)
        self._flows: list[bytes | socket.socket] = []
        self._next = 0
        self.sent = 0
        self.reset_s: dict[int, float] = {}
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(size.tcp_flows + 1024, 4096), most))

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()
        for flow in self._flows:
            if isinstance(flow, socket.socket):
                flow.close()

    def begin(self, port: int, *, tcp: bool) -> None:
        """Begin a flow."""
        if tcp:
            connection = socket_in(self._pid, socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.bind((self._address, port))
            connection.connect_ex((D_SID, TCP_PORT))
            self._flows.append(connection)
            return
        frame = self._frames.of_port(port)
        self._flows.append(frame)
        for _ in range(BURST):
            self._put(frame)

    def go_on(self, packets: int) -> None:
        """Send so many packets, one of each flow in turn."""
        for _ in range(min(packets, len(self._flows))):
            self._next = self._next % len(self._flows)
            flow = self._flows[self._next]
            self._next += 1
            if isinstance(flow, bytes):
                self._put(flow)
            elif not self._say(flow):
                self.reset_s[flow.getsockname()[1]] = time.monotonic()
                flow.close()
                self._next -= 1
                del self._flows[self._next]

    def _put(self, frame: bytes) -> None:
        self.sent += 1
        try:
            self._wire.send(frame)
        except OSError as error:  # a full queue: lost like any packet
            if error.errno != errno.ENOBUFS:
                raise

    def _say(self, connection: socket.socket) -> bool:
        """Send on a connection; return False if it was reset."""
        try:
            connection.send(b"dyncast\n")
            self.sent += 1
        except BlockingIOError:  # it is not connected yet, or much is on its way
            pass
        except OSError:
            return False
        return True


def deaths_ns(folder: Path) -> dict[Life, int]:
    """Return when which life of an instance ended by a fault."""
    lives: Counter[str] = Counter()
    died_ns = {}
    for row in table(folder, "faults.faults"):
        instance = row["target"]
        if row["fault"] in BREAKING and row["event"] == "begin":
            assert row["detail"] == ""
            lives[instance] += 1
            died_ns[instance, lives[instance]] = round(float(row["time_s"]) * 1e9)
    return died_ns


def counted(folder: Path, node: str, after_s: float = 0.0) -> Counter[str]:
    """Return what a D-Router last wrote of its own counters; nothing if it has written none since."""
    rows = [row for row in table(folder, f"control.{node}") if row["direction"] == "local"]
    return Counter({row["kind"]: int(row["messages"] or 0) for row in rows if float(row["time_s"]) > after_s})


def table(folder: Path, part: str) -> list[dict[str, str]]:
    """Read what there is of a table."""
    return list(whole_rows(folder / f"{part}.part.csv"))
