"""`throughput`: what bound flows carry from client to instance, against the same path with plain NORMAL forwarding.

One network with an ingress for each way of binding, and one whose clients address the instance itself. TCP goes both
ways, data there and acknowledgements home; UDP is offered faster than any switch forwards it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from testbed.emulation.namespaces import entered
from tests.bench.edge import D_SID, Edge, edge
from tests.bench.flood import Flood
from tests.bench.harness import Benchmark, Better, Goal, Row, Settings, Skipped, compare
from tests.polling import wait_until

_NAME = "throughput"
_MODES = ("reactive", "datapath")
_FORWARDING = "forwarding"
_GOAL = Goal(0.9, Better.HIGHER)
_HEADERS_BYTES = 14 + 20 + 8  # Ethernet, IPv4, UDP
_OVERLOAD_PER_S: Mapping[int, int] = {64: 120_000, 1_200: 120_000}  # by the length of the frame
_UDP_S = 0.4
_IPERF = "iperf3"


def _run(settings: Settings) -> Iterator[Row]:
    if shutil.which(_IPERF) is None:
        raise Skipped(f"capability {_IPERF} is missing: install the package {_IPERF}")
    with edge([*_MODES, _FORWARDING], 1) as built, _server(built) as instance:
        address = built.address(instance)
        for mode in _MODES:
            with built.steered(mode, mode):
                yield from _rows(built, mode, address, settings)


def _rows(built: Edge, mode: str, address: str, settings: Settings) -> Iterator[Row]:
    note = f"{mode} affinity; against NORMAL"
    tcp_s = 1 if settings.quick else 4
    ways: tuple[Callable[[], float], Callable[[], float]]
    ways = partial(_tcp_gbps, built, mode, D_SID, tcp_s), partial(_tcp_gbps, built, _FORWARDING, address, tcp_s)
    yield compare(f"{_NAME}/tcp/{mode}", "Gbit/s", *ways, settings.rounds, note=note, goal=_GOAL)
    bound, plain = Flood(built, mode), Flood(built, _FORWARDING, to=address)
    for length_bytes, rate_per_s in _OVERLOAD_PER_S.items():
        load = rate_per_s, _UDP_S, length_bytes - _HEADERS_BYTES
        ways = partial(bound.stream, *load), partial(plain.stream, *load)
        yield compare(f"{_NAME}/udp{length_bytes}/{mode}", "1/s", *ways, settings.rounds, note=note, goal=_GOAL)


@contextmanager
def _server(built: Edge) -> Iterator[str]:
    """Have the only instance serve iperf3; yields its name."""
    (instance,) = built.instances
    log_path = built.folder / "iperf3.log"
    process = built.network.popen(instance, [_IPERF, "-s", "--forceflush"], name=_IPERF, log_path=log_path)
    try:
        wait_until(
            lambda: "listening" in log_path.read_text() or process.poll() is not None, what=f"{_IPERF} to listen"
        )
        yield instance
    finally:
        process.terminate()
        process.wait(10)


def _tcp_gbps(built: Edge, ingress: str, to: str, duration_s: int) -> float:
    command = [_IPERF, "--client", to, "--time", str(duration_s), "--json"]
    with entered(built.pid(built.client_of(ingress))):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=duration_s + 20)
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e9


BENCHMARK = Benchmark(_NAME, "TCP and UDP through a bound flow", _run)
