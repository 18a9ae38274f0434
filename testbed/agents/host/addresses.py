"""Addresses of sockets, as the tables have them; and listening sockets for both families.

Owns the dual-stack convention: one IPv6 socket serves IPv4 too, and what it reports as `::ffff:10.0.0.1`
is written as `10.0.0.1`.
"""

from __future__ import annotations

import errno
import socket

from testbed.net.addresses import Address
from testbed.runtime.lifecycle import ProcessFailure

_MAPPED_PREFIX = "::ffff:"
_BACKLOG = 1024


def plain_address(text: str) -> str:
    """Return an address without the IPv4-mapped prefix or a scope."""
    text = text.partition("%")[0]
    return text[len(_MAPPED_PREFIX) :] if text.startswith(_MAPPED_PREFIX) and "." in text else text


def bound_socket(kind: socket.SocketKind, port: int, purpose: str) -> socket.socket:
    """Return a non-blocking socket bound to `port` on every address of both families.

    Where the kernel has no IPv6, IPv4 alone. Raises ProcessFailure naming the port if it cannot be had.
    """
    family = socket.AF_INET6 if _has_ipv6() else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        way_out = {
            errno.EADDRINUSE: "is taken; end the process that holds it or choose another",
            errno.EACCES: "may not be bound; run as root or choose a port above 1023",
        }.get(error.errno or 0, f"cannot be bound: {error.strerror}")
        raise ProcessFailure(f"{purpose} {port} {way_out}") from error
    return bound


def bound_at(address: Address, port: int) -> socket.socket:
    """Return a TCP socket bound to an address and a port (0: any that is free). Raises ProcessFailure naming both."""
    bound = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((str(address), port))
    except OSError as error:
        bound.close()
        text = f"cannot serve at {address} port {port}: {error.strerror}; choose another port"
        raise ProcessFailure(text) from error
    return bound


def url_of(listening: socket.socket) -> str:
    """Return the URL of what is served by HTTP at a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True
