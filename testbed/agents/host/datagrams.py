"""UDP that answers from the very address it was asked at, on hosts with several, in both families.

Owns the socket and its packet-info control messages (IPV6_PKTINFO, IP_PKTINFO). A reply from another
address than the one the client sent to would be another flow to every box on the way.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from testbed.agents.host.addresses import bound_socket, plain_address
from testbed.linux.socket_buffers import widen

_IP_PKTINFO = 8  # linux/in.h; `socket` has it from Python 3.12 on only
_INFO_4 = struct.Struct("@I4s4s")
_INFO_6 = struct.Struct("@16sI")
_ANCILLARY_BYTES = socket.CMSG_SPACE(max(_INFO_4.size, _INFO_6.size))
_MAX_DATAGRAM_BYTES = 65535
_BUFFER_BYTES = 4 << 20

Control = tuple[int, int, bytes]


class Datagram(NamedTuple):
    """A datagram received, with what a reply needs."""

    data: bytes
    src: str
    src_port: int
    dst: str
    peer: tuple[object, ...]  # as the socket wants it
    reply_from: tuple[Control, ...]


class DatagramSocket:
    """A non-blocking UDP socket on every address of the host. Raises ProcessFailure if the port is taken."""

    def __init__(self, port: int, purpose: str) -> None:
        self._socket = bound_socket(socket.SOCK_DGRAM, port, purpose)
        self.port = port
        self.unsent = 0  # replies the kernel did not take: buffer full, or no route back
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._local: dict[bytes, tuple[str, tuple[Control, ...]]] = {}  # the host's few addresses, as packed
        widen(self._socket, _BUFFER_BYTES)

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._socket.fileno()

    def receive(self) -> Datagram | None:
        """Return the next datagram, None if none waits."""
        try:
            data, ancillary, _, peer = self._socket.recvmsg(_MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        dst, reply_from = self._local_address(ancillary)
        return Datagram(data, plain_address(peer[0]), peer[1], dst, peer, reply_from)

    def reply(self, datagram: Datagram, data: bytes) -> None:
        """Send `data` back to where `datagram` came from, out of the address it came to."""
        try:
            self._socket.sendmsg([data], datagram.reply_from, 0, datagram.peer)
        except OSError:
            self.unsent += 1

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _local_address(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[str, tuple[Control, ...]]:
        for level, kind, info in ancillary:
            known = self._local.get(info)
            if known:
                return known
            if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                packed, interface = _INFO_6.unpack_from(info)
                text = socket.inet_ntop(socket.AF_INET6, packed)
                # An interface may only be named where the address means nothing without it.
                scope = interface if text.startswith("fe80:") else 0
                control = (level, kind, _INFO_6.pack(packed, scope))
            elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                _, packed, _ = _INFO_4.unpack_from(info)
                text = socket.inet_ntop(socket.AF_INET, packed)
                control = (level, kind, _INFO_4.pack(0, packed, packed))
            else:
                continue
            known = self._local[info] = (plain_address(text), (control,))
            return known
        return "", ()
