"""Frames through a link, stamped where they leave and where they arrive, for benchmarks that time links or senders.

Arrival times are the kernel's, taken when the receiving interface gets a frame; capturing sockets keep all frames
until the sender has done, so that no receiver competes with what is measured. All times are on CLOCK_REALTIME, which
kernel timestamps use and which namespaces share.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from testbed.emulation.netns.namespaces import Namespace, entered
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, ask_for_arrivals, stamp_ns

ETHERTYPE = 0x88B5  # for local experiments
HEADER = struct.Struct("!6s6sHIQ")  # Ethernet header, number of the frame, when it was sent in ns
_ALL_PROTOCOLS = 0x0003
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 1 << 29
_BROADCAST, _SENDER = b"\xff" * 6, bytes.fromhex("02000000000a")


class HasNamespace(Protocol):
    """Whatever names a process whose network namespace is meant."""

    @property
    def pid(self) -> int:
        """Return the process."""


class Arrival(NamedTuple):
    """A frame, and when the kernel received it."""

    at_ns: int
    frame: bytes


class Sent(NamedTuple):
    """What a sender did: frames offered, and how long that took."""

    frames: int
    took_s: float


@contextmanager
def quiet_namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Yield two namespaces whose interfaces send nothing of their own accord."""
    with Namespace() as a, Namespace() as b:
        for namespace in (a, b):
            namespace.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"])
        yield a, b


class Capture:
    """Everything that an interface receives from now on. A context manager."""

    def __init__(self, namespace: HasNamespace, interface: str, ethertype: int = _ALL_PROTOCOLS) -> None:
        self._socket = packet_socket(namespace, interface, ethertype)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        ask_for_arrivals(self._socket)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def arrivals(self, quiet_s: float, length_bytes: int = 128) -> list[Arrival]:
        """Return what came until `quiet_s` from now, or until nothing has come for so long.

        Up to `length_bytes` of each frame.
        """
        found: list[Arrival] = []
        receive = self._socket.recvmsg
        until_ns = time.time_ns() + round(quiet_s * 1e9)
        while select.select([self._socket], [], [], quiet_s)[0]:
            frame, ancillary, _, address = receive(length_bytes, ARRIVAL_BYTES)
            if address[2] != socket.PACKET_OUTGOING:
                at_ns = stamp_ns(ancillary)
                assert at_ns is not None
                found.append(Arrival(at_ns, frame))
                if at_ns > until_ns:
                    break
        return found


def packet_socket(namespace: HasNamespace, interface: str, ethertype: int = ETHERTYPE) -> socket.socket:
    """Return a socket for Ethernet frames of an interface."""
    with entered(namespace.pid):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    opened.bind((interface, ethertype))
    return opened


def received_frames(namespace: HasNamespace, interface: str) -> int:
    """Return how many frames an interface has received."""
    for line in Path(f"/proc/{namespace.pid}/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == interface:
            return int(counters.split()[1])
    raise LookupError(f"process {namespace.pid} has no {interface}")


def send(through: socket.socket, rate_per_s: float, duration_s: float, length_bytes: int) -> Sent:
    """Send numbered frames at a steady rate, each with its time of sending; what the kernel refuses counts as sent.

    Between frames it sleeps, which ends some 60 µs late, so frames closer than that go by a few at once: a sender that
    spins would be a load that no workload is.
    """
    frame = bytearray(length_bytes)
    stamp, clock, clock_ns, put = HEADER.pack_into, time.monotonic, time.time_ns, through.send
    count = round(rate_per_s * duration_s)
    begin_s = clock()
    for number in range(count):
        wait_s = begin_s + number / rate_per_s - clock()
        if wait_s > 0:
            time.sleep(wait_s)
        stamp(frame, 0, _BROADCAST, _SENDER, ETHERTYPE, number, clock_ns())
        try:
            put(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
    return Sent(count, clock() - begin_s)
