"""How much a socket keeps: what has come and was not read yet, and what was sent and is not gone yet.

Owns SO_RCVBUFFORCE and SO_SNDBUFFORCE. Stdlib only.
"""

from __future__ import annotations

import socket

_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32  # <asm-generic/socket.h>; the socket module does not name them


def widen(opened: socket.socket, octets: int) -> None:
    """Let a socket keep so much in each direction; of who is not root, as much as the system allows."""
    for forced, asked in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, octets)
        except OSError:
            opened.setsockopt(socket.SOL_SOCKET, asked, octets)
