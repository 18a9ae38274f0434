"""When the kernel took a packet in, so that how busy the reading process is stays out of what it measures.

Owns SO_TIMESTAMPNS and its ancillary data. Knows nothing of what is in packets. Stdlib only.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable

_SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; the socket module does not name it
_TIMESPEC = struct.Struct("@ll")

ARRIVAL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
"""Room for the ancillary data that `recvmsg` returns it in."""


def ask_for_arrivals(opened: socket.socket) -> None:
    """Let the kernel say of each packet from now on when it came."""
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def stamp_ns(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """Return when a packet came, on CLOCK_REALTIME, which all processes share; None if the kernel does not say."""
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(content)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None


def arrival_s(ancillary: Iterable[tuple[int, int, bytes]]) -> float:
    """Return when a packet came, on CLOCK_MONOTONIC; now, if the kernel does not say."""
    now_s, stamped_ns = time.monotonic(), stamp_ns(ancillary)
    if stamped_ns is None:
        return now_s
    # Only the age since then is used, so that steps of the other clock do no harm.
    return now_s - max(0, time.time_ns() - stamped_ns) / 1e9
