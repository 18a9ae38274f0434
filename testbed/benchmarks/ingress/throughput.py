"""`throughput`: what bound flows get through an ingress and an egress, against the same path with plain forwarding.

Each way of steering has an ingress of its own, and so has plain forwarding, whose client addresses the instance itself
and whose switch has only NORMAL to do. UDP goes both ways at once, so that both rewritings are in the figure, at the
highest rate at which next to nothing is lost or queues up: offered far more, a switch on two cores does anything.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from errno import ENOBUFS
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from testbed.benchmarks.harness import Benchmark, Better, Goal, Measure, Row, Settings, compare
from testbed.benchmarks.instruments.edge import D_SID, UDP_PORT, Edge, edge
from testbed.benchmarks.instruments.frames import ETHERTYPE, HEADER_BYTES, Frames, to_gateway
from testbed.benchmarks.instruments.wire import Capture, packet_socket, received_frames
from testbed.emulation.netns.namespaces import socket_in
from testbed.emulation.wiring import HOST_INTERFACE
from testbed.net.flow_key import UDP
from testbed.runtime.polling import wait_until, wait_until_still

_NAME = "throughput"
_MODES = ("reactive", "datapath")
_PLAIN = "plain"
_FRAME_BYTES = (64, 1200)
_SEARCH_PER_S = (20_000.0, 200_000.0)
_SEARCH_STEPS = 7
_ARRIVING = 0.99
_GRACE_S = 0.005
_BATCH_S = 0.001
_LOOK_S = 0.02
_NOISE = 2  # frames meanwhile that are none of ours, such as ARP
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
        """Return the highest rate, by search, at which 99 % of the frames of a flow, both ways, arrive at once."""
        self._next_port += 1
        with self._bound(self._next_port) as home, ExitStack() as stack:
            frames = self._frames(home.getsockname()[1], frame_bytes)
            ends = [
                stack.enter_context(packet_socket(_Node(self._edge.pid(host)), HOST_INTERFACE, ETHERTYPE))
                for host in (self._client, self._instance)
            ]
            low, high = _SEARCH_PER_S
            for _ in range(_SEARCH_STEPS):
                rate_per_s = (low * high) ** 0.5
                before = self._received()
                sent = _send_from_both(ends, frames, rate_per_s, duration_s)
                time.sleep(_GRACE_S)
                if self._received() - before >= sent * _ARRIVING:
                    low = rate_per_s
                else:
                    high = rate_per_s
                wait_until_still(self._received, _LOOK_S, noise=_NOISE, what="what arrives")
            return low

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
        reverse = to_gateway(plan, self._instance, self._edge.site_of(self._instance))
        return (
            Frames(outward, client, IPv4Address(self._to).packed, UDP, UDP_PORT, payload_bytes).of_port(port),
            Frames(reverse, instance, client, UDP, port, payload_bytes).of_port(UDP_PORT),
        )

    def _received(self) -> int:
        hosts = (_Node(self._edge.pid(host)) for host in (self._client, self._instance))
        return sum(received_frames(host, HOST_INTERFACE) for host in hosts)


def _send_from_both(
    ends: Sequence[socket.socket], frames: Sequence[bytes], rate_per_s: float, duration_s: float
) -> int:
    """Send frames from both ends in turn, in batches of a millisecond; return how many."""
    begin_s = time.monotonic()
    sent = 0
    while (now_s := time.monotonic() - begin_s) < duration_s:
        for _ in range(sent, int(now_s * rate_per_s), 2):
            for through, frame in zip(ends, frames, strict=True):
                sent += 1
                try:
                    through.send(frame)
                except OSError as error:  # a full queue: lost like any packet
                    if error.errno != ENOBUFS:
                        raise
        time.sleep(_BATCH_S)
    return sent


def _run(settings: Settings) -> Iterator[Row]:
    with edge([*_MODES, _PLAIN], 1) as built, ExitStack() as stack:
        for mode in _MODES:
            stack.enter_context(built.steered(mode, mode))
        paths = {mode: _Path(built, mode, D_SID) for mode in _MODES}
        paths[_PLAIN] = _Path(built, _PLAIN, built.address(built.instances[0]))
        if shutil.which("iperf3") is not None:
            seconds = 1 if settings.quick else 3
            with _iperf_server(built):
                found = _in_turn({name: partial(path.tcp_gbps, seconds) for name, path in paths.items()}, settings)
            yield from _rows("tcp", "Gbit/s", found, "one iperf3 stream")
        for size in _FRAME_BYTES:
            step_s = 0.1 if settings.quick else 0.3
            found = _in_turn({name: partial(path.udp_per_s, size, step_s) for name, path in paths.items()}, settings)
            yield from _rows(f"udp{size}", "packets/s", found, f"frames of {size} bytes, both ways together")


def _in_turn(ways: Mapping[str, Measure], settings: Settings) -> dict[str, list[float]]:
    """Measure all ways once a round, the first of each round changing."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(settings.rounds):
        for name in ways if number % 2 else reversed(list(ways)):
            found[name].append(ways[name]())
    return found


def _rows(what: str, unit: str, found: Mapping[str, Sequence[float]], note: str) -> Iterator[Row]:
    for mode in _MODES:
        ours, plain = iter(found[mode]).__next__, iter(found[_PLAIN]).__next__
        rounds = len(found[mode])
        yield compare(f"{_NAME}/{what}/{mode}", unit, ours, plain, rounds, note=f"{note}; against NORMAL", goal=_GOAL)


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
