"""`throughput`: what bound flows get through an ingress and an egress, against the same path with plain forwarding.

Each way of steering has an ingress of its own, and so has plain forwarding, whose client addresses the instance itself
and whose switch has only NORMAL to do. UDP goes both ways at once, so that both rewritings are in the figure; it is
offered faster than it gets through.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from errno import ENOBUFS
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from testbed.dyncast.flows import UDP
from testbed.emulation.namespaces import socket_in
from testbed.emulation.wiring import HOST_INTERFACE
from tests.bench.edge import D_SID, UDP_PORT, Edge, edge
from tests.bench.frames import ETHERTYPE, HEADER_BYTES, Frames, to_gateway
from tests.bench.harness import Benchmark, Better, Goal, Row, Settings, compare
from tests.bench.wire import Capture, packet_socket
from tests.polling import wait_until

_NAME = "throughput"
_MODES = ("reactive",)
_PLAIN = "plain"
_FRAME_BYTES = (64, 1200)
_OFFERED_PER_S = 200_000  # both ways together; more than one switch forwards
_BATCH_S = 0.001
_LOOK_S = 0.02
_IPERF_PORT = 5201
_GOAL = Goal(0.9, Better.HIGHER)


class _Node(NamedTuple):
    """A namespace, as far as sockets in it need one."""

    pid: int


class _Path:
    """The way from the client of an ingress to the instance, by the address that the client knows."""

    def __init__(self, built: Edge, ingress: str, to: str) -> None:
        self._edge = built
        self._ingress = ingress
        self._client = built.client_of(ingress)
        (self._instance,) = built.instances
        self._to = to
        self._next_port = 20_000

    def tcp_gbps(self, duration_s: int) -> float:
        """Return the rate at which TCP delivers."""
        argv = ["iperf3", "--client", self._to, "--port", str(_IPERF_PORT), "--time", str(duration_s), "--json"]
        done = self._edge.network.run(self._client, argv, timeout_s=duration_s + 20)
        report = json.loads(done.stdout)
        if done.returncode != 0:
            raise RuntimeError(f"iperf3 to {self._to}: {report.get('error', done.stderr)}")
        return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9

    def udp_per_s(self, frame_bytes: int, duration_s: float) -> float:
        """Return at which rate frames of one flow arrive at its two ends, while more are offered."""
        self._next_port += 1
        with self._bound(self._next_port) as home, ExitStack() as stack:
            out_frame, home_frame = self._frames(home.getsockname()[1], frame_bytes)
            out, back = (
                stack.enter_context(packet_socket(_Node(self._edge.pid(host)), HOST_INTERFACE, ETHERTYPE))
                for host in (self._client, self._instance)
            )
            before = self._received()
            took_s = _send_both(out, out_frame, back, home_frame, duration_s)
            return (self._received() - before) / took_s

    @contextmanager
    def _bound(self, port: int) -> Iterator[socket.socket]:
        """Have a flow bound by its first packet; yield the client's socket, which never reads."""
        with socket_in(self._edge.pid(self._client), socket.AF_INET, socket.SOCK_DGRAM) as home:
            home.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            home.bind((self._edge.address(self._client), port))
            with Capture(_Node(self._edge.pid(self._instance)), HOST_INTERFACE, ETHERTYPE) as capture:
                home.sendto(b"first", (self._to, UDP_PORT))
                wait_until(lambda: capture.arrivals(_LOOK_S), what="the first packet to arrive")
            yield home

    def _frames(self, port: int, frame_bytes: int) -> tuple[bytes, bytes]:
        plan, payload_bytes = self._edge.network.plan, frame_bytes - HEADER_BYTES
        client, instance = (IPv4Address(self._edge.address(host)).packed for host in (self._client, self._instance))
        outward = to_gateway(plan, self._client, self._ingress)
        homeward = to_gateway(plan, self._instance, self._edge.site_of(self._instance))
        return (
            Frames(outward, client, IPv4Address(self._to).packed, UDP, UDP_PORT, payload_bytes).of_port(port),
            Frames(homeward, instance, client, UDP, port, payload_bytes).of_port(UDP_PORT),
        )

    def _received(self) -> int:
        return sum(_received_frames(self._edge.pid(host)) for host in (self._client, self._instance))


def _send_both(
    out: socket.socket, out_frame: bytes, back: socket.socket, home_frame: bytes, duration_s: float
) -> float:
    """Send frames from both ends in turn, in batches of a millisecond; return how long that took."""
    begin_s = time.monotonic()
    sent = 0
    while (now_s := time.monotonic() - begin_s) < duration_s:
        due = int(now_s * _OFFERED_PER_S)
        for _ in range(sent, due, 2):
            for through, frame in ((out, out_frame), (back, home_frame)):
                try:
                    through.send(frame)
                except OSError as error:  # a full queue: lost like any packet
                    if error.errno != ENOBUFS:
                        raise
        sent = max(sent, due)
        time.sleep(_BATCH_S)
    return time.monotonic() - begin_s


def _received_frames(pid: int) -> int:
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == HOST_INTERFACE:
            return int(counters.split()[1])
    raise LookupError(f"process {pid} has no {HOST_INTERFACE}")


def _run(settings: Settings) -> Iterator[Row]:
    with edge([*_MODES, _PLAIN], 1) as built, ExitStack() as stack:
        for mode in _MODES:
            stack.enter_context(built.steered(mode, mode))
        plain = _Path(built, _PLAIN, built.address(built.instances[0]))
        for mode in _MODES:
            yield from _rows(mode, built, _Path(built, mode, D_SID), plain, settings)


def _rows(mode: str, built: Edge, steered: _Path, plain: _Path, settings: Settings) -> Iterator[Row]:
    if shutil.which("iperf3") is not None:
        duration_s = 1 if settings.quick else 4
        with _iperf_server(built):
            yield compare(
                f"{_NAME}/tcp/{mode}", "Gbit/s",
                lambda: steered.tcp_gbps(duration_s), lambda: plain.tcp_gbps(duration_s),
                settings.rounds, note="one iperf3 stream; against NORMAL", goal=_GOAL,
            )  # fmt: skip
    for size in _FRAME_BYTES:
        seconds = 0.5 if settings.quick else 2.0
        yield compare(
            f"{_NAME}/udp/{size}/{mode}", "packets/s",
            lambda: steered.udp_per_s(size, seconds), lambda: plain.udp_per_s(size, seconds),  # noqa: B023
            settings.rounds, note=f"frames of {size} bytes, both ways together; against NORMAL", goal=_GOAL,
        )  # fmt: skip


@contextmanager
def _iperf_server(built: Edge) -> Iterator[None]:
    (instance,) = built.instances
    argv = ["iperf3", "--server", "--port", str(_IPERF_PORT)]
    server = built.network.popen(instance, argv, name="iperf3", log_path=built.folder / "iperf3.log")
    try:
        listening = f":{_IPERF_PORT:04X} "
        table = Path(f"/proc/{built.pid(instance)}/net/tcp6")
        wait_until(lambda: listening in table.read_text() or server.poll() is not None, what="iperf3 to listen")
        yield
    finally:
        server.kill()
        server.wait()


BENCHMARK = Benchmark(_NAME, "TCP and UDP through ingress and egress, bound flows against plain forwarding", _run)
