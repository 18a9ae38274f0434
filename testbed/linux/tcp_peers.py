"""Whose process is at the other end of a TCP connection on this machine, by the kernel's table of sockets."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_ESTABLISHED = "01"
_ROOT = 0


def is_trusted(connection: socket.socket) -> bool:
    """Return whether the other end of an IPv4 connection is a socket of root, or of the same user as this process.

    Only of a socket that a process holds: of one that was closed the kernel says that it is root's.
    """
    ends = _end(connection.getpeername()), _end(connection.getsockname())
    for line in _TABLE.read_text().splitlines()[1:]:
        _, local, remote, state, _, _, _, user, _, inode, *_ = line.split()
        if (local, remote) == ends:
            return state == _ESTABLISHED and inode != "0" and int(user) in (_ROOT, os.geteuid())
    return False


def _end(address: tuple[str, int]) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
