"""The socket that probes go through, read when the D-Router is awake anyway: the kernel says when each came.

Owns the descriptor. So probes cost no waking of their own, and a process that gets its turn late measures the network
all the same.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

from ryu_apps.dyncast.config.probes import ProbesConfig
from ryu_apps.openflow.inherited_sockets import inherited
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals

_LARGEST_PROBE = 2048
_MOST_AT_ONCE = 1024  # then others have their turn


class ProbeSocket:
    """Send probes and their answers; return what has come."""

    def __init__(self, config: ProbesConfig) -> None:
        self._socket = inherited(config.fd, "probes.fd", socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._port = config.port
        ask_for_arrivals(self._socket)

    def send(self, data: bytes, to: str) -> None:
        """Send one. Raises OSError."""
        self._socket.sendto(data, (to, self._port))

    def received(self) -> Iterator[tuple[bytes, str, float]]:
        """Yield what has come: the octets, where from, and when by time.monotonic()."""
        with suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                data, ancillary, _, address = self._socket.recvmsg(_LARGEST_PROBE, ARRIVAL_BYTES)
                yield data, address[0], arrival_s(ancillary)
