"""New flows by the ten thousand from one client, and which instances each of them reached.

Frames are made beforehand and handed to the client's interface as they are; capturing sockets keep what reaches the
instances until all is sent. One process sends some 100,000 flows a second and does not compete with what it measures.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple, Protocol

from testbed.benchmarks.instruments.edge import D_SID, UDP_PORT
from testbed.benchmarks.instruments.frames import ETHERTYPE, Frames, to_gateway
from testbed.benchmarks.instruments.wire import Capture, packet_socket
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.wiring import HOST_INTERFACE
from testbed.net.flow_key import UDP

_PORTS = range(1024, 61024)
_FIRST_SOURCE = 200 << 8  # clients that only these frames know: x.y.200.0 and on
_ADDRESSES = struct.Struct("!4s4sHH")  # source and destination addresses and ports; the header has no options
_ADDRESSES_AT = 14 + 12  # in a frame
_BATCH_S = 0.001  # sleeping costs about as much as sending ten frames
_QUIET_S = 0.3

FlowId = tuple[bytes, int]  # source address and port


class Reached(NamedTuple):
    """A packet of a flow that reached an instance, and how long after it was sent."""

    instance: str
    delay_ms: float


@dataclass(frozen=True)
class Outcome:
    """What became of the flows offered: for each, by its number, where its packet arrived (nowhere: an empty list)."""

    took_s: float
    reached: list[list[Reached]]
    served_per_s: float

    @property
    def offered(self) -> int:
        """How many flows were offered."""
        return len(self.reached)

    @property
    def offered_per_s(self) -> float:
        """The rate at which flows were offered in fact."""
        return self.offered / self.took_s

    @property
    def served(self) -> int:
        """How many flows reached an instance."""
        return sum(bool(arrivals) for arrivals in self.reached)

    @property
    def split(self) -> int:
        """How many flows reached more than one instance."""
        return sum(len({arrival.instance for arrival in arrivals}) > 1 for arrivals in self.reached)

    def delays_ms(self) -> list[float]:
        """Return the delays of the first packets that arrived."""
        return [arrivals[0].delay_ms for arrivals in self.reached if arrivals]


class Floodable(Protocol):
    """A network with ingresses that have a client each, and instances."""

    @property
    def network(self) -> EmulatedNetwork:
        """Return the network."""

    @property
    def instances(self) -> tuple[str, ...]:
        """Return where flows may arrive."""

    def client_of(self, ingress: str) -> str:
        """Return the client behind an ingress."""

    def pid(self, node: str) -> int:
        """Return the process that holds a node's namespace open."""


class Flood:
    """Offers flows from the client of an ingress to an address, the D-SID unless another is named; never one twice."""

    def __init__(self, edge: Floodable, ingress: str, to: str = D_SID, proto: int = UDP, port: int = UDP_PORT) -> None:
        self._edge = edge
        self._client = _Node(edge.pid(edge.client_of(ingress)))
        plan = edge.network.plan
        client, site = edge.client_of(ingress), plan.site(ingress)
        self._to, self._proto, self._port = IPv4Address(to).packed, proto, port
        self._link = to_gateway(plan, client, ingress)
        self._first_source = int(site.prefix4.network_address) + _FIRST_SOURCE
        self._next = 0

    def offer(self, rate_per_s: float, duration_s: float, payload_bytes: int = 22) -> Outcome:
        """Send one packet of each of so many new flows, and see where they arrive. Takes a little longer."""
        count = round(rate_per_s * duration_s)
        flows = [self._flow(number) for number in range(self._next, self._next + count)]
        self._next += count
        sent_ns, arrivals = self._exchange(flows, self._frames(flows, payload_bytes), rate_per_s)
        reached: list[list[Reached]] = [[] for _ in flows]
        until_ns = sent_ns[-1]
        in_time = 0
        for at_ns, instance, number in arrivals:
            in_time += not reached[number] and at_ns <= until_ns
            reached[number].append(Reached(instance, (at_ns - sent_ns[number]) / 1e6))
        took_s = (until_ns - sent_ns[0]) / 1e9
        return Outcome(took_s, reached, in_time / took_s)

    def _exchange(
        self, flows: Sequence[FlowId], frames: Sequence[bytes], rate_per_s: float
    ) -> tuple[array[int], list[tuple[int, str, int]]]:
        """Send frames; return when each was sent, and for each packet that arrived: when, where, of which flow."""
        numbers = {flow: number for number, flow in enumerate(flows)}
        with ExitStack() as stack:
            captures = {
                instance: stack.enter_context(Capture(_Node(self._edge.pid(instance)), HOST_INTERFACE, ETHERTYPE))
                for instance in self._edge.instances
            }
            with packet_socket(self._client, HOST_INTERFACE, ETHERTYPE) as through:
                sent_ns = _send(through, frames, rate_per_s)
            return sent_ns, sorted(_arrivals(captures, numbers))

    def _flow(self, number: int) -> FlowId:
        source, port = divmod(number, len(_PORTS))
        return IPv4Address(self._first_source + source).packed, _PORTS[port]

    def _frames(self, flows: Sequence[FlowId], payload_bytes: int) -> list[bytes]:
        of_source: dict[bytes, Frames] = {}
        for src, _ in flows:
            if src not in of_source:
                of_source[src] = Frames(self._link, src, self._to, self._proto, self._port, payload_bytes)
        return [of_source[src].of_port(src_port) for src, src_port in flows]


class _Node(NamedTuple):
    """A namespace, as far as sockets in it need one."""

    pid: int


def _arrivals(captures: Mapping[str, Capture], numbers: Mapping[FlowId, int]) -> Iterator[tuple[int, str, int]]:
    """Yield when and where each packet of the flows arrived, and the flow's number, until no more of them come."""
    quiet_s = _QUIET_S / len(captures)
    ongoing = True
    while ongoing:
        ongoing = False
        for instance, capture in captures.items():
            for at_ns, frame in capture.arrivals(quiet_s, _ADDRESSES_AT + _ADDRESSES.size):
                if len(frame) < _ADDRESSES_AT + _ADDRESSES.size:
                    continue
                src, _, src_port, _ = _ADDRESSES.unpack_from(frame, _ADDRESSES_AT)
                number = numbers.get((src, src_port))
                if number is not None:
                    ongoing = True
                    yield at_ns, instance, number


def _send(through: socket.socket, frames: Sequence[bytes], rate_per_s: float) -> array[int]:
    """Send frames at a steady rate, in batches of a millisecond; return when each was sent."""
    sent_ns = array("q", bytes(8 * len(frames)))
    put, clock, clock_ns = through.send, time.monotonic, time.time_ns
    begin_s = clock()
    number = 0
    while number < len(frames):
        due = min(len(frames), int((clock() - begin_s) * rate_per_s) + 1)
        while number < due:
            sent_ns[number] = clock_ns()
            try:
                put(frames[number])
            except OSError as error:  # a full queue: lost like any packet
                if error.errno != errno.ENOBUFS:
                    raise
            number += 1
        if number < len(frames):
            time.sleep(_BATCH_S)
    return sent_ns
