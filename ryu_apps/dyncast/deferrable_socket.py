"""The socket that deferrable messages go through, read when the process is awake anyway.

Owns the descriptor, and how long messages may lie there. They cost no waking of their own; the kernel says when each
came, so that a process that gets its turn late measures the network all the same.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import suppress

from ryu_apps.dyncast.config.deferrable import DeferrableConfig
from ryu_apps.openflow.inherited_sockets import inherited
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals
from testbed.linux.socket_buffers import widen

_LARGEST_MESSAGE = 2048  # all of them fit a packet
_MOST_AT_ONCE = 1024  # then others have their turn
_LONGEST_S = 0.35  # a turn of probes comes first, a third of a second after the one before
_KEPT_BYTES = 8 << 20  # reports of thousands of instances, which may come meanwhile


class DeferrableSocket:
    """Send deferrable messages; return what has come."""

    def __init__(self, config: DeferrableConfig) -> None:
        self._socket = inherited(config.fd, "deferrable.fd", socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._port = config.port
        self._read_s = -math.inf
        widen(self._socket, _KEPT_BYTES)
        ask_for_arrivals(self._socket)

    def next_timer_s(self) -> float:
        """Return when it must be read, if it was not before."""
        return self._read_s + _LONGEST_S

    def send(self, data: bytes, to: str) -> None:
        """Send one. Raises OSError."""
        self._socket.sendto(data, (to, self._port))

    def received(self, now_s: float) -> Iterator[tuple[bytes, str, float]]:
        """Yield what has come: the octets, where from, and when by time.monotonic()."""
        self._read_s = now_s
        with suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                data, ancillary, _, address = self._socket.recvmsg(_LARGEST_MESSAGE, ARRIVAL_BYTES)
                yield data, address[0], arrival_s(ancillary)
