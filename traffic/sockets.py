"""Sockets for flows: bound to the client's address, each with a source port of its own, and not too many at once.

Ports are handed out in turn, not left to the kernel: a flow key comes back as late as it can (an affinity
entry of the former flow has idled out by then), and the same schedule gives the same flow keys, hence the
same hashes in every switch, under each policy.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from testbed.errors import TestbedError
from testbed.net.addresses import Address

FIRST_PORT = 16_384  # above the ports of services
PORT_COUNT = 65_536 - FIRST_PORT
_MAX_PORTS_TRIED = 1024
_RESERVED_DESCRIPTORS = 64  # for files, the event loop, the standard streams

NETWORK_UNREACHABLE_ERRORS = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ENONET, errno.EPROTO, errno.EACCES}
)
_LOCAL_LIMIT_ERRORS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRINUSE, errno.EADDRNOTAVAIL}
)


class BoundSocket(NamedTuple):
    """A socket and the port that it is bound to."""

    socket: socket.socket
    port: int


class LocalLimitError(TestbedError):
    """This machine has no socket or port left for a flow."""


def raise_descriptor_limit() -> int:
    """Lift this process's limit of open files as far as it may, and return how many sockets that allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - _RESERVED_DESCRIPTORS)


def is_local_limit(error: OSError) -> bool:
    """Return whether an error of the socket calls says that this machine has run out of something."""
    return error.errno in _LOCAL_LIMIT_ERRORS


class SocketSource:
    """Opens and closes the sockets of all flows of a client; `source` is its address per family (4, 6)."""

    def __init__(self, source: Mapping[int, Address], max_sockets: int) -> None:
        self._source = {version: str(address) for version, address in source.items()}
        self._max_sockets = max_sockets
        self._next = 0
        self.open_count = 0

    def check(self) -> None:
        """Try to bind to each source address; raise OSError if one is not this host's."""
        for version, address in self._source.items():
            with socket.socket(_family(version), socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))

    def open(self, kind: socket.SocketKind, version: int) -> tuple[socket.socket, int]:
        """Return a non-blocking socket bound to the next free source port, and that port. Raises LocalLimitError."""
        opened = self._new(kind, version, 1)
        if kind is socket.SOCK_STREAM:
            # So that a port is taken although its last connection is in TIME_WAIT, for a minute, in the kernel.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(_MAX_PORTS_TRIED):
            port = FIRST_PORT + self._next
            self._next = (self._next + 1) % PORT_COUNT
            try:
                opened.bind((self._source[version], port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                opened.close()
                raise
            self.open_count += 1
            return opened, port
        opened.close()
        raise LocalLimitError(f"{_MAX_PORTS_TRIED} source ports in a row are taken")

    def open_block(self, version: int, count: int, block: int) -> list[BoundSocket]:
        """Return so many non-blocking UDP sockets on neighbouring ports, the first a multiple of `block`.

        `count` is at most `block`, a power of two, and no other call gets a port of the same block. Raises
        LocalLimitError.
        """
        for _ in range(_MAX_PORTS_TRIED):
            first = FIRST_PORT + -(-self._next // block) * block  # FIRST_PORT is a multiple of every block
            if first + block > FIRST_PORT + PORT_COUNT:
                first = FIRST_PORT
            self._next = (first + block - FIRST_PORT) % PORT_COUNT
            with ExitStack() as held:
                bound = []
                for port in range(first, first + count):
                    opened = held.enter_context(self._new(socket.SOCK_DGRAM, version, count))
                    try:
                        opened.bind((self._source[version], port))
                    except OSError as error:
                        if error.errno != errno.EADDRINUSE:
                            raise
                        break
                    bound.append(BoundSocket(opened, port))
                if len(bound) == count:
                    held.pop_all()
                    self.open_count += count
                    return bound
        raise LocalLimitError(f"a port is taken in each of {_MAX_PORTS_TRIED} blocks")

    def _new(self, kind: socket.SocketKind, version: int, wanted: int) -> socket.socket:
        if self.open_count + wanted > self._max_sockets:
            raise LocalLimitError(f"{self.open_count} of {self._max_sockets} sockets are open")
        try:
            return socket.socket(_family(version), kind | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise LocalLimitError(str(error)) from None

    def close(self, opened: socket.socket) -> None:
        """Close a socket that came from `open`."""
        opened.close()
        self.open_count -= 1

    def note_closed(self) -> None:
        """Take note that somebody else has closed a socket that came from `open`."""
        self.open_count -= 1


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET6 if version == 6 else socket.AF_INET
