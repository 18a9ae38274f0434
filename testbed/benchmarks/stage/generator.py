"""How many packets or requests the traffic generators send, and how true to their times, against Scapy's `sendp`.

What leaves is stamped by the kernel at the far end of a plain veth pair. Ours is held to the times it got before it
started; Scapy, which takes none, to those that follow from its own first packet.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from statistics import median, quantiles
from typing import NamedTuple

from testbed.benchmarks.harness import Benchmark, Row, Settings, Skipped, compare
from testbed.benchmarks.instruments.wire import Arrival, Capture, quiet_namespaces
from testbed.emulation.links.links import LinkEnd, LinkRequest, create_links
from testbed.emulation.machine.capabilities import probe
from testbed.emulation.netns.namespaces import Namespace, path_of, socket_in
from testbed.emulation.temporary_folders import temporary_folder
from testbed.runtime.caller import python_module
from topologies.spec import LinkSpec
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival as Due
from traffic.content import scapy_packets
from traffic.content.packets import AUDIO_PACKET_MS, build_stream

_SOURCE, _SINK, _PORT = "10.77.0.1", "10.77.0.2", 5004
_RATES_PER_S = {"rtp": (100, 1_000, 5_000), "http": (100, 1_000)}
_QUICK_RATES_PER_S = {"rtp": (1_000,)}
_START_S = 0.8  # until the generator has read its files
_END_S = 60.0
_QUIET_S = 0.3
_PACKETS_PER_CALL_S = 1000 // AUDIO_PACKET_MS
_PROTOCOL_AT, _PORT_AT, _FLAGS_AT = 23, 36, 47  # in an Ethernet frame with IPv4 without options
_TCP, _UDP, _SYN = 6, 17, 0x02
_ANSWER = b"HTTP/1.1 200 OK\r\nX-Dyncast-Instance: one@here\r\nContent-Length: 0\r\n\r\n"


class _Pace(NamedTuple):
    """How true to its times a sender was."""

    achieved: float
    median_ms: float
    p99_ms: float


class _Wire:
    """A veth pair between two namespaces: senders in the one, somebody who listens and a capture in the other."""

    def __init__(self, stack: ExitStack) -> None:
        self._folder = stack.enter_context(temporary_folder("bench"))
        self._a, self._b = stack.enter_context(quiet_namespaces())
        ends = LinkEnd(self._a.pid, "eth0"), LinkEnd(self._b.pid, "eth0")
        stack.enter_context(closing(create_links([LinkRequest(*ends, LinkSpec(), "wire")], "relay")))
        for namespace, address in ((self._a, _SOURCE), (self._b, _SINK)):
            namespace.run(["ip", "address", "add", f"{address}/24", "dev", "eth0"])
        self._a.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse"])  # as on the hosts of a run
        stack.enter_context(_listeners(self._b))

    def rtp(self, rate_per_s: int, duration_s: float) -> _Pace:
        """Have the RTP generator make calls whose packets are due one after the other."""
        stream = self._folder / "audio.stream"
        stream.write_bytes(build_stream("audio", 1.0))
        calls = rate_per_s // _PACKETS_PER_CALL_S
        arrivals = [Due(number / rate_per_s, duration_s) for number in range(calls)]
        workload = {"kind": "rtp", "media": "audio", "stream_file": str(stream)}
        return self._generate(workload, arrivals_file.DURATION_COLUMN, arrivals, rate_per_s, duration_s, _UDP)

    def http(self, rate_per_s: int, duration_s: float) -> _Pace:
        """Have the HTTP generator make requests, one after the other; what counts is the SYN."""
        arrivals = [Due(number / rate_per_s, None) for number in range(round(rate_per_s * duration_s))]
        return self._generate({"kind": "http"}, arrivals_file.WORK_COLUMN, arrivals, rate_per_s, duration_s, _TCP)

    def scapy(self, rate_per_s: int, duration_s: float) -> _Pace:
        """Have Scapy send as many packets of the same size."""
        count = round(rate_per_s * duration_s)
        arguments = [_SOURCE, _SINK, str(_PORT), str(rate_per_s), str(count)]
        times_ns = self._seen([*scapy_packets.program("send_paced"), *arguments], _UDP)
        return _pace(times_ns, times_ns[0], rate_per_s, count)

    def _generate(
        self,
        workload: dict[str, str],
        column: str,
        arrivals: Sequence[Due],
        rate_per_s: int,
        duration_s: float,
        protocol: int,
    ) -> _Pace:
        path, config = self._folder / "arrivals.csv", self._folder / "generator.json"
        arrivals_file.write(path, column, arrivals)
        start_s = time.monotonic() + _START_S
        where = {"name": "load", "service": "sink", "d_sid": _SINK, "port": _PORT, "arrivals_file": str(path)}
        config.write_text(
            json.dumps({
                "name": "generator", "client": "client", "site": "here", "source": {"4": _SOURCE},
                "start_s": start_s, "out_dir": str(self._folder), "workloads": [{**where, **workload}],
            })
        )  # fmt: skip
        start_ns = round(start_s * 1e9) + time.time_ns() - time.monotonic_ns()
        times_ns = self._seen(python_module("traffic.generator", str(config)), protocol)
        return _pace(times_ns, start_ns, rate_per_s, round(rate_per_s * duration_s))

    def _seen(self, command: Sequence[str], protocol: int) -> list[int]:
        """Run a command to its end among the senders; return when each thing that counts came."""
        with Capture(self._b, "eth0") as capture:
            inside = ["nsenter", f"--net={path_of(self._a.pid)}", "--", *command]
            subprocess.run(inside, timeout=_END_S, check=True)
            return [arrival.at_ns for arrival in capture.arrivals(_QUIET_S) if _counts(arrival, protocol)]


def _counts(arrival: Arrival, protocol: int) -> bool:
    frame = arrival.frame
    if len(frame) <= _FLAGS_AT or frame[_PROTOCOL_AT] != protocol:
        return False
    is_ours = int.from_bytes(frame[_PORT_AT : _PORT_AT + 2], "big") == _PORT
    return is_ours and (protocol != _TCP or frame[_FLAGS_AT] == _SYN)


def _pace(times_ns: Sequence[int], start_ns: int, rate_per_s: int, requested: int) -> _Pace:
    """Compare times with those due: what is due after the last that came, or came after its time, was not achieved."""
    errors_ms = [abs(at_ns - start_ns - number * 1e9 / rate_per_s) / 1e6 for number, at_ns in enumerate(times_ns)]
    took_s = max(requested / rate_per_s, (times_ns[-1] - start_ns) / 1e9 + 1 / rate_per_s)
    return _Pace(len(times_ns) / took_s / rate_per_s, median(errors_ms), quantiles(errors_ms, n=100)[-1])


@contextmanager
def _listeners(namespace: Namespace) -> Iterator[None]:
    """Take in UDP and answer HTTP requests."""
    with (
        socket_in(namespace.pid, socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket_in(namespace.pid, socket.AF_INET, socket.SOCK_STREAM) as listening,
    ):
        datagrams.bind((_SINK, _PORT))
        listening.bind((_SINK, _PORT))
        listening.listen(socket.SOMAXCONN)
        answering = threading.Thread(target=_answer, args=(listening,))
        answering.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            answering.join()


def _answer(listening: socket.socket) -> None:
    with suppress(OSError):  # once it is shut down
        while True:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionError):
                connection.recv(4096)
                connection.sendall(_ANSWER)


def _run(settings: Settings) -> Iterator[Row]:
    if not probe().has("root"):
        raise Skipped("root: namespaces need it")
    duration_s = 0.5 if settings.quick else 1.0
    with ExitStack() as stack:
        wire = _Wire(stack)
        for kind, rates_per_s in (_QUICK_RATES_PER_S if settings.quick else _RATES_PER_S).items():
            for rate_per_s in rates_per_s:
                yield from _rows(kind, getattr(wire, kind), wire.scapy, rate_per_s, duration_s, settings.rounds)


def _rows(
    kind: str,
    ours: Callable[[int, float], _Pace],
    scapy: Callable[[int, float], _Pace],
    rate_per_s: int,
    duration_s: float,
    rounds: int,
) -> Iterator[Row]:
    own: list[_Pace] = []
    other: list[_Pace] = []
    for number in range(rounds):
        ways = [(ours, own), (scapy, other)]
        for send, paces in ways if number % 2 else reversed(ways):
            paces.append(send(rate_per_s, duration_s))
    name = f"generator/{kind}/{rate_per_s}"
    for index, (what, unit, note) in enumerate((
        ("achieved", "of requested", "rate; baseline: Scapy's sendp(inter=...)"),
        ("error_median", "ms", "from due to arrival; baseline: Scapy, from its first packet on"),
        ("error_p99", "ms", "from due to arrival; baseline: Scapy, from its first packet on"),
    )):  # fmt: skip
        mine, theirs = (iter([pace[index] for pace in paces]) for paces in (own, other))
        yield compare(f"{name}/{what}", unit, mine.__next__, theirs.__next__, rounds, note=note)


BENCHMARK = Benchmark("generator", "rate and send-time error of the RTP and HTTP generators, against Scapy", _run)
