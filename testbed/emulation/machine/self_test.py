"""Does traffic pass, and are links as configured? A small emulated network, measured.

    client ── link with delay ── Open vSwitch bridge ── plain link ── server
    another client ── impaired link ── the same bridge ── impaired link ── an instance
    a router ── impaired link ── another router

Owns that network and what is measured: TCP and UDP from client to server, and both directions of the impaired links
(delay, loss and rate at once). TCP matters: with checksum or segmentation offload left on, a userspace bridge lets ping
and UDP pass while TCP hangs. All ends are sockets of this process.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.emulation import run_tag
from testbed.emulation.links import link_probes
from testbed.emulation.links.backend import LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.links.links import create_links
from testbed.emulation.machine.capabilities import Backends, claimed_tag
from testbed.emulation.netns.namespaces import Namespace, socket_in
from testbed.emulation.run_tag import RunTagError
from testbed.emulation.switches import bridges
from testbed.emulation.switches.bridges import Bridge, BridgeError
from testbed.emulation.temporary_folders import temporary_folder
from topologies.spec import LinkSpec

_CLIENT = "198.18.0.1"  # RFC 2544: for measurements
_SERVER = "198.18.0.2"
_PORT = 5001
_DELAY_MS = 10.0
_PROBES = 50
_TRANSFER_S = 1.0
_PATIENCE_S = 1.0
_FIRST_ANSWER_S = 5.0
# Userspace schedulers add some tenths of a millisecond. The fastest round trip says whether the delay is true, the
# median whether the machine has the time for it; below that limit, each run's own verdict says how well it did.
_RTT_TOLERANCE_MS, _BUSY_MS = 2.0, 10.0
_IMPAIRED = LinkSpec(delay_ms=_DELAY_MS, loss_percent=3, rate_mbps=5)
_FRAMES, _FRAME_INTERVAL_S = 400, 0.003  # enough to distinguish this loss from none
_EARLY_TOLERANCE_MS, _RATE_TOLERANCE, _LOSS_CHANCE = 0.1, 0.1, 0.001

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SelfTest:
    """What was measured; `problems` says, one line each, what is wrong with it."""

    datapath: str
    link: str
    rtt_configured_ms: float = 2 * _DELAY_MS
    rtt_least_ms: float | None = None
    rtt_median_ms: float | None = None
    udp_sent: int = 0
    udp_received: int = 0
    tcp_mbps: float = 0.0
    links: tuple[MeasuredDirection, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether runs can be trusted here."""
        return not self.problems

    @property
    def udp_loss_percent(self) -> float:
        """Return the share of probes without an answer."""
        return 100 * (1 - self.udp_received / self.udp_sent) if self.udp_sent else 100.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return {**asdict(self), "udp_loss_percent": self.udp_loss_percent, "ok": self.ok}


def self_test(backends: Backends, progress: Progress = lambda _message: None) -> SelfTest:
    """Build the network, measure, remove it. What goes wrong is in the result, never raised."""
    try:
        with _network(backends, progress) as (client, server, impaired):
            progress(f"{_PROBES} UDP probes")
            round_trips_ms, sent = _probe(client, server)
            progress(f"TCP for {_TRANSFER_S:g} s")
            tcp_mbps = _transfer(client, server)
            progress(f"{_FRAMES} frames each way over {len(impaired)} impaired links")
            measured = link_probes.measure(impaired, probes=_FRAMES, interval_s=_FRAME_INTERVAL_S)
    except (OSError, LinkError, BridgeError, RunTagError) as error:
        reason = getattr(error, "strerror", None) or error
        return SelfTest(
            backends.datapath, backends.link, problems=(f"the self-test network cannot be built: {reason}",)
        )
    least_ms = min(round_trips_ms, default=None)
    median_ms = statistics.median(round_trips_ms) if round_trips_ms else None
    return SelfTest(
        datapath=backends.datapath,
        link=backends.link,
        rtt_least_ms=least_ms,
        rtt_median_ms=median_ms,
        udp_sent=sent,
        udp_received=len(round_trips_ms),
        tcp_mbps=tcp_mbps,
        links=tuple(measured),
        problems=(*assess(least_ms, median_ms, sent, len(round_trips_ms), tcp_mbps), *link_problems(measured)),
    )


def assess(
    rtt_least_ms: float | None, rtt_median_ms: float | None, sent: int, received: int, tcp_mbps: float
) -> Iterator[str]:
    """Say, one line each, what is wrong with these measurements."""
    if rtt_least_ms is None or rtt_median_ms is None:
        yield "no UDP packet came back: the bridge or the links carry nothing; see `ovs-vsctl show` and `dmesg`"
    elif abs(rtt_least_ms - 2 * _DELAY_MS) > _RTT_TOLERANCE_MS:
        yield (
            f"round trips take {rtt_least_ms:.2f} ms at best where {2 * _DELAY_MS:g} ms were configured:"
            " the machine is too busy to emulate delays, or the link backend does not work"
        )
    elif rtt_median_ms > 2 * _DELAY_MS + _BUSY_MS:
        yield (
            f"half of the round trips take more than {rtt_median_ms:.2f} ms where {2 * _DELAY_MS:g} ms were configured:"
            " the machine is too busy to emulate delays"
        )
    if received and received < sent:
        yield f"{sent - received} of {sent} UDP probes were lost on links without loss"
    if not tcp_mbps:
        yield (
            "TCP carries nothing"
            + (" though UDP passes: checksum or segmentation offload is still on" if received else "")
            + "; see `ethtool -k` of the interfaces"
        )


def link_problems(measured: Sequence[MeasuredDirection]) -> Iterator[str]:
    """Say, one line each, which links are not as configured, and how."""
    for link in measured:
        lost = link.sent - link.received
        if link.early_ms > _EARLY_TOLERANCE_MS or link.late_ms > _RTT_TOLERANCE_MS:
            yield f"{link.name} took {link.least_ms:.2f} ms where {link.configured_ms:.2f} ms were configured"
        if link.loss_chance * len(measured) < _LOSS_CHANCE:
            yield f"{link.name} lost {lost} of {link.sent} frames where {link.spec.loss_percent:g} % were configured"
        if link.rate_error is not None and link.rate_error > _RATE_TOLERANCE:
            yield f"{link.name} carried {link.rate_mbps:.3g} Mbit/s where {link.spec.rate_mbps:g} were configured"


@contextmanager
def _network(backends: Backends, progress: Progress) -> Iterator[tuple[int, int, list[LinkRequest]]]:
    with ExitStack() as stack:
        tag = stack.enter_context(claimed_tag("doctor"))
        progress(f"two namespaces, a {backends.link} link of {_DELAY_MS:g} ms, a {backends.datapath} bridge")
        client = stack.enter_context(Namespace(tag.environment))
        server = stack.enter_context(Namespace(tag.environment))
        # Of their own: a host with two links to one bridge would answer ARP on both.
        near, far = (stack.enter_context(Namespace(tag.environment)) for _ in range(2))
        out_dir = stack.enter_context(temporary_folder("doctor"))
        requests = [
            LinkRequest(
                LinkEnd(client.pid, "eth0"), LinkEnd(None, tag.port(0)), LinkSpec(delay_ms=_DELAY_MS), "client"
            ),
            LinkRequest(LinkEnd(server.pid, "eth0"), LinkEnd(None, tag.port(1)), LinkSpec(), "server"),
        ]
        impaired = [
            LinkRequest(LinkEnd(near.pid, "eth0"), LinkEnd(None, tag.port(2)), _IMPAIRED, "the link of a client"),
            LinkRequest(LinkEnd(far.pid, "eth0"), LinkEnd(None, tag.port(3)), _IMPAIRED, "the link of an instance"),
            LinkRequest(LinkEnd(near.pid, "r1"), LinkEnd(far.pid, "r1"), _IMPAIRED, "a link between routers"),
        ]
        links = create_links([*requests, *impaired], backends.link, out_dir=Path(out_dir), environment=tag.environment)
        stack.callback(links.close)
        interfaces = {number + 1: tag.port(number) for number in range(4)}
        bridge = Bridge(tag.bridge(0), 1, uplink_port=1, ports={"server": 2}, interfaces=interfaces)
        run_tag.record_bridges(tag, [bridge.name])
        stack.callback(bridges.delete_bridges, [bridge.name])
        bridges.create_bridges([bridge], tag, datapath_type=backends.datapath)
        for namespace, address in ((client, _CLIENT), (server, _SERVER)):
            namespace.run(["ip", "address", "add", f"{address}/24", "dev", "eth0"])
        yield client.pid, server.pid, impaired


def _probe(client: int, server: int) -> tuple[list[float], int]:
    """Return the round trips (ms) of the UDP probes that came back, and how many were sent."""
    with (
        socket_in(server, socket.AF_INET, socket.SOCK_DGRAM) as echo,
        socket_in(client, socket.AF_INET, socket.SOCK_DGRAM) as probing,
    ):
        echo.bind((_SERVER, _PORT))
        probing.connect((_SERVER, _PORT))
        with _beside(lambda: _echo(echo), stop=lambda: echo.shutdown(socket.SHUT_RDWR)):
            deadline_s = time.monotonic() + _FIRST_ANSWER_S
            while _round_trip_ms(probing, b"first") is None:  # neighbours and the bridge's learning settle
                if time.monotonic() > deadline_s:
                    return [], 1
            answers = [_round_trip_ms(probing, number.to_bytes(4, "big")) for number in range(_PROBES)]
    return [answer for answer in answers if answer is not None], _PROBES


def _round_trip_ms(probing: socket.socket, payload: bytes) -> float | None:
    sent_s = time.monotonic()
    deadline_s = sent_s + _PATIENCE_S
    try:
        probing.send(payload)
        while True:
            probing.settimeout(max(0.001, deadline_s - time.monotonic()))
            if probing.recv(64) == payload:  # else the late answer to an earlier probe
                return (time.monotonic() - sent_s) * 1e3
    except OSError:
        return None


def _echo(echo: socket.socket) -> None:
    with suppress(OSError):
        while True:
            payload, sender = echo.recvfrom(64)
            if not sender:  # shut down
                return
            echo.sendto(payload, sender)


def _transfer(client: int, server: int) -> float:
    """Return what TCP carried from client to server, in Mbit/s, as the server counted it."""
    arrivals: list[tuple[float, int]] = []
    with (
        socket_in(server, socket.AF_INET, socket.SOCK_STREAM) as listening,
        socket_in(client, socket.AF_INET, socket.SOCK_STREAM) as sending,
    ):
        listening.bind((_SERVER, _PORT))
        listening.listen(1)
        sending.settimeout(3 * _PATIENCE_S)
        with (
            _beside(lambda: _receive(listening, arrivals), stop=lambda: listening.shutdown(socket.SHUT_RDWR)),
            suppress(OSError),  # no connection, or a connection that hangs: what arrived counts
        ):
            sending.connect((_SERVER, _PORT))
            block = bytes(64 * 1024)
            deadline_s = time.monotonic() + _TRANSFER_S
            while time.monotonic() < deadline_s:
                sending.sendall(block)
            sending.shutdown(socket.SHUT_WR)
            sending.recv(1)  # the server closes when it has everything
    if len(arrivals) < 2:
        return 0.0
    (first_s, first_bytes), (last_s, _) = arrivals[0], arrivals[-1]
    return (sum(count for _, count in arrivals) - first_bytes) * 8 / (last_s - first_s) / 1e6


def _receive(listening: socket.socket, arrivals: list[tuple[float, int]]) -> None:
    with suppress(OSError):
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(3 * _PATIENCE_S)
            while count := len(connection.recv(1 << 20)):
                arrivals.append((time.monotonic(), count))


@contextmanager
def _beside(action: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            stop()
        thread.join()
