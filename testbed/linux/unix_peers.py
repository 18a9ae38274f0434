"""Whose process is at the other end of a Unix socket, by the kernel's word."""

from __future__ import annotations

import os
import socket
from struct import Struct
from typing import Protocol

_CREDENTIALS = Struct("=3i")  # pid, uid, gid
_ROOT = 0


class _HasOptions(Protocol):
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def peer_user(connection: _HasOptions) -> int:
    """Return the user id of the process that connected, or that listens."""
    return int(_CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1])


def is_trusted(connection: _HasOptions) -> bool:
    """Return whether that process is root's, or of the same user as this one."""
    return peer_user(connection) in (_ROOT, os.geteuid())
