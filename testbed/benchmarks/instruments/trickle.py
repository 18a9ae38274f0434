"""New flows at a steady rate from clients, sent aside of what is measured; nobody looks where they arrive."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from itertools import count
from socket import socket
from types import SimpleNamespace

from testbed.benchmarks.instruments.frames import ETHERTYPE, Frames, to_gateway
from testbed.benchmarks.instruments.wire import packet_socket
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.wiring import HOST_INTERFACE
from testbed.net.flow_key import UDP

_PORTS = range(1024, 61024)
_FIRST_SOURCE = 200 << 8  # clients that only these frames know: x.y.200.0 and on
_PAUSE_S = 0.001


class Offered:
    """How many flows were offered so far, over all clients."""

    def __init__(self) -> None:
        self.flows = 0


@contextmanager
def trickle(
    network: EmulatedNetwork, client_of: Mapping[str, str], d_sid: str, rate_per_s: float, port: int
) -> Iterator[Offered]:
    """Offer so many new UDP flows a second from the client of each ingress, one packet each, while the block runs."""
    offered, ended = Offered(), threading.Event()
    with ExitStack() as stack:
        ways = []
        for ingress, client in client_of.items():
            link = to_gateway(network.plan, client, ingress)
            through = packet_socket(SimpleNamespace(pid=network.pid(client)), HOST_INTERFACE, ETHERTYPE)
            stack.callback(through.close)
            first = int(network.plan.site(ingress).prefix4.network_address) + _FIRST_SOURCE
            ways.append((through, _frames(link, first, IPv4Address(d_sid).packed, port)))
        thread = threading.Thread(target=_send, args=(ways, rate_per_s, offered, ended))
        thread.start()
        stack.callback(thread.join)
        stack.callback(ended.set)
        yield offered


def _frames(link: bytes, first_source: int, d_sid: bytes, port: int) -> Iterator[bytes]:
    for source in count(first_source):
        frames = Frames(link, IPv4Address(source).packed, d_sid, UDP, port, payload_bytes=22)
        for src_port in _PORTS:
            yield frames.of_port(src_port)


def _send(
    ways: list[tuple[socket, Iterator[bytes]]], rate_per_s: float, offered: Offered, ended: threading.Event
) -> None:
    begin_s, sent = time.monotonic(), 0
    while not ended.is_set():
        due = int((time.monotonic() - begin_s) * rate_per_s)
        for through, frames in ways:
            for _ in range(due - sent):
                try:
                    through.send(next(frames))
                except OSError as error:  # a full queue: lost like any packet
                    if error.errno != errno.ENOBUFS:
                        raise
        offered.flows += (due - sent) * len(ways)
        sent = due
        time.sleep(_PAUSE_S)
