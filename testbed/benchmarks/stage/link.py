"""How true a link is to its delay, rate and loss, and how many packets it carries, for each backend that works here.

Each link lies between two namespaces; a plain veth pair between the same two, measured in alternation, says what of a
delay's error is the measurement's own. A rate is offered twice what it lets through.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from statistics import median, quantiles

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped
from testbed.benchmarks.instruments.wire import (
    ETHERTYPE,
    HEADER,
    Arrival,
    Capture,
    packet_socket,
    quiet_namespaces,
    received_frames,
    send,
)
from testbed.emulation.links.links import LinkEnd, LinkRequest, create_links
from testbed.emulation.machine.capabilities import LINK_BACKENDS, Capabilities, probe
from testbed.emulation.netns.namespaces import Namespace, socket_in
from testbed.emulation.temporary_folders import temporary_folder
from testbed.runtime.polling import wait_until_still
from topologies.spec import LinkSpec

_RATES_PER_S = (100, 5_000, 50_000)
_GOALS_AT_PER_S = 5_000
_THOROUGH_S = 1.5
# Where a percentile has a goal, long enough that one tick of the scheduler does not decide it.
_QUICK_S = {5_000: 0.8}
_MEDIAN_GOAL, _P99_GOAL = Goal(0.2, Better.LOWER), Goal(1.0, Better.LOWER)
_PACKETS_GOAL = Goal(80_000, Better.HIGHER)
_DELAY_MS = 10.0
_LOSS_PERCENT = 10.0
_FRAME_BYTES = 250
_LARGE_PAYLOAD_BYTES = 1200
_PORT = 5004
_SINK_MAC = "02:00:00:00:00:0b"
_QUIET_S = 0.1  # well above the delay
_PLAIN, _DELAYED, _LOSSY, _LARGE, _FIRST_RATED = "eth0", "eth1", "eth2", "eth3", 4
_LOST = 0.01
_IN_TIME_S = 2 * _DELAY_MS / 1e3
_SEARCH_PER_S = (40_000, 400_000)
_SEARCH_STEPS = 5


class _Links:
    """The links of one backend between two namespaces: one for each impairment, and a plain one."""

    def __init__(self, backend: str, a: Namespace, b: Namespace, stack: ExitStack) -> None:
        self._a, self._b = a, b
        rated = [LinkSpec(rate_mbps=rate_per_s / 2 * _FRAME_BYTES * 8 / 1e6) for rate_per_s in _RATES_PER_S]
        delayed = LinkSpec(delay_ms=_DELAY_MS)
        specs = (LinkSpec(), delayed, LinkSpec(loss_percent=_LOSS_PERCENT), delayed, *rated)
        requests = [
            LinkRequest(
                LinkEnd(a.pid, f"eth{number}"), LinkEnd(b.pid, f"eth{number}", _SINK_MAC), spec, f"link {number}"
            )
            for number, spec in enumerate(specs)
        ]
        folder = stack.enter_context(temporary_folder("bench"))
        stack.enter_context(closing(create_links(requests, backend, out_dir=folder)))
        # Large frames end in a UDP socket, so that a link is charged with what the kernel does for what it hands over.
        self._sources = {
            interface: stack.enter_context(_udp_through(a, b, interface, f"10.77.{number}"))
            for number, interface in enumerate((_PLAIN, _LARGE))
        }
        self._rated = dict(zip(_RATES_PER_S, (f"eth{_FIRST_RATED + n}" for n in range(len(rated))), strict=True))

    def delays_ms(self, interface: str, rate_per_s: int, duration_s: float) -> tuple[float, float]:
        """Return the median and the 99th percentile of one-way delay."""
        _, arrivals = self._through(interface, rate_per_s, duration_s)
        delays_ms = [(at_ns - HEADER.unpack_from(frame)[4]) / 1e6 for at_ns, frame in arrivals]
        return median(delays_ms), quantiles(delays_ms, n=100)[-1]

    def rate_error_percent(self, rate_per_s: int, duration_s: float) -> float:
        """Return by how much the frames of a full link come faster than they should, while more are offered."""
        _, arrivals = self._through(self._rated[rate_per_s], rate_per_s, duration_s)
        within = [at_ns for at_ns, _ in arrivals if at_ns < arrivals[0].at_ns + duration_s * 0.9e9]
        carried_per_s = (len(within) - 1) / (within[-1] - within[0]) * 1e9
        return (carried_per_s / (rate_per_s / 2) - 1) * 100

    def loss_error_percent(self, rate_per_s: int, duration_s: float) -> float:
        """Return lost frames in percent of those sent, less those that should be."""
        sent, arrivals = self._through(_LOSSY, rate_per_s, duration_s)
        return (1 - len(arrivals) / sent) * 100 - _LOSS_PERCENT

    def sender_per_s(self, duration_s: float) -> float:
        """Return how fast this benchmark can send, by a plain link."""
        frames, took_s = send(self._sources[_PLAIN], _SEARCH_PER_S[1], duration_s, _LARGE_PAYLOAD_BYTES)
        return frames / took_s

    def most_per_s(self, duration_s: float) -> float:
        """Return the highest rate, by search, at which at most 1 % of the frames are lost or late."""
        low, high = _SEARCH_PER_S
        carried_per_s = 0.0
        received = partial(received_frames, self._b, _LARGE)
        for _ in range(_SEARCH_STEPS):
            offered_per_s = (low * high) ** 0.5
            before = wait_until_still(received, _QUIET_S, what="what a link delivers")
            frames, took_s = send(self._sources[_LARGE], offered_per_s, duration_s, _LARGE_PAYLOAD_BYTES)
            time.sleep(_IN_TIME_S)  # what comes later has waited in a queue that would overflow if this went on
            if received() - before >= frames * (1 - _LOST):
                carried_per_s = max(carried_per_s, frames / took_s)
                low = offered_per_s
            else:
                high = offered_per_s
        return carried_per_s

    def _through(self, interface: str, rate_per_s: int, duration_s: float) -> tuple[int, list[Arrival]]:
        with Capture(self._b, interface, ETHERTYPE) as capture, packet_socket(self._a, interface) as through:
            frames, _ = send(through, rate_per_s, duration_s, _FRAME_BYTES)
            return frames, capture.arrivals(_QUIET_S, HEADER.size)


@contextmanager
def _udp_through(a: Namespace, b: Namespace, interface: str, network: str) -> Iterator[socket.socket]:
    """Yield a socket whose datagrams go through a link to a socket that nobody reads."""
    source, sink = f"{network}.1", f"{network}.2"
    for namespace, address in ((a, source), (b, sink)):
        namespace.run(["ip", "address", "add", f"{address}/24", "dev", interface])
    # Known from the start: no datagram waits for a resolution.
    a.run(["ip", "neighbour", "add", sink, "lladdr", _SINK_MAC, "dev", interface])
    with (
        socket_in(b.pid, socket.AF_INET, socket.SOCK_DGRAM) as sinking,
        socket_in(a.pid, socket.AF_INET, socket.SOCK_DGRAM) as sending,
    ):
        sinking.bind((sink, _PORT))
        sending.connect((sink, _PORT))
        yield sending


def _run(settings: Settings) -> Iterator[Row]:
    capabilities = probe()
    if not capabilities.has("root"):
        raise Skipped("root: links between namespaces need it")
    for backend in _present(capabilities):
        with ExitStack() as stack:
            links = _Links(backend, *stack.enter_context(quiet_namespaces()), stack)
            for rate_per_s in _QUICK_S if settings.quick else _RATES_PER_S:
                yield from _errors(links, backend, rate_per_s, settings)
            yield _most(links, backend, settings)


def _present(capabilities: Capabilities) -> list[str]:
    return [name for name in LINK_BACKENDS if capabilities.has("tap" if name == "relay" else name)]


def _errors(links: _Links, backend: str, rate_per_s: int, settings: Settings) -> Iterator[Row]:
    duration_s = _QUICK_S[rate_per_s] if settings.quick else _THOROUGH_S
    delays_ms: list[tuple[float, float]] = []
    plain_ms: list[tuple[float, float]] = []
    rates, losses = [], []
    for number in range(settings.rounds):
        ways = [(_DELAYED, delays_ms), (_PLAIN, plain_ms)]
        for interface, found in ways if number % 2 else reversed(ways):
            found.append(links.delays_ms(interface, rate_per_s, duration_s))
        rates.append(links.rate_error_percent(rate_per_s, duration_s))
        losses.append(links.loss_error_percent(rate_per_s, duration_s))
    name = f"link/{backend}/{rate_per_s}"
    has_goal = backend == "relay" and rate_per_s == _GOALS_AT_PER_S
    for index, (what, goal) in enumerate((("delay_median", _MEDIAN_GOAL), ("delay_p99", _P99_GOAL))):
        errors_ms = [delay[index] - _DELAY_MS for delay in delays_ms]
        note = f"beyond {_DELAY_MS:g} ms, measuring included; baseline: plain veth"
        yield _row(
            f"{name}/{what}", "ms", errors_ms, [delay[index] for delay in plain_ms], note, goal if has_goal else None
        )
    yield _row(f"{name}/rate", "%", rates, None, "faster than configured, while twice as much is offered")
    sampling = (_LOSS_PERCENT * (100 - _LOSS_PERCENT) / (rate_per_s * duration_s)) ** 0.5
    yield _row(
        f"{name}/loss", "%", losses, None, f"lost beyond {_LOSS_PERCENT:g} %; chance alone gives ± {sampling:.2g}"
    )


def _most(links: _Links, backend: str, settings: Settings) -> Row:
    duration_s = 0.3 if settings.quick else 1.0
    ours, plain = [], []
    for _ in range(settings.rounds):
        ours.append(links.most_per_s(duration_s))
        plain.append(links.sender_per_s(duration_s))
    note = f"UDP of {_LARGE_PAYLOAD_BYTES} bytes, at most 1 % lost or late; baseline: what the sender can send"
    goal = _PACKETS_GOAL if backend == "relay" else None
    return _row(f"link/{backend}/most", "packets/s", ours, plain, note, goal)


def _row(
    name: str, unit: str, values: Sequence[float], plain: Sequence[float] | None, note: str, goal: Goal | None = None
) -> Row:
    """Return a row with a baseline but no ratio: the goals are about the figures themselves."""
    value = median(values)
    spread = (max(values) - min(values)) / abs(value) if value else 0.0
    baseline = median(plain) if plain else None
    return Row(name, unit, value, baseline, None, len(values), spread, note, goal)


BENCHMARK = Benchmark("link", "delay, rate and loss errors of each link backend, and the packets/s it carries", _run)
