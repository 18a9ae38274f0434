"""The socket of one UDP flow: what is sent goes to one place, what comes back comes with the time of its arrival.

Owns what the kernel says of a datagram: when it took it in, that an earlier one met an ICMP error. Times are the
kernel's, so that this process's own scheduling stays out of jitter and delay. Knows no RTP and no outcomes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals
from testbed.net.addresses import Address
from testbed.runtime.message_errors import MessageErrors
from traffic.sockets import NETWORK_UNREACHABLE_ERRORS, SocketSource

_RECEIVE_BYTES = 65_536
_READS_PER_TURN = 16  # then the other flows get their turn


class UdpFlowSocket:
    """`opened` came from `sockets`. Datagrams go to `on_datagram` with the time of arrival.

    What fails is counted, as is a datagram that cannot be handled (`errors`).
    """

    def __init__(
        self,
        opened: socket.socket,
        sockets: SocketSource,
        loop: asyncio.AbstractEventLoop,
        errors: MessageErrors,
        on_datagram: Callable[[bytes, float], None],
    ) -> None:
        self._socket: socket.socket | None = opened
        self._sockets = sockets
        self._loop = loop
        self._errors = errors
        self._counts = errors.counters
        self._on_datagram = on_datagram
        self.icmp_errors = 0

    def connect(self, address: Address, port: int) -> None:
        """Say where the flow goes, and begin to listen. Raises OSError."""
        assert self._socket is not None
        ask_for_arrivals(self._socket)
        self._socket.connect((str(address), port))
        self._loop.add_reader(self._socket, self._on_readable)

    def send(self, data: bytes | bytearray) -> bool:
        """Send a datagram; return whether the kernel took it."""
        assert self._socket is not None
        for _ in range(2):
            try:
                self._socket.send(data)
                return True
            except OSError as error:
                # An ICMP error of an earlier packet is reported by the next call, which then sends nothing.
                if not self._note_icmp(error):
                    break
        self._counts["packets_not_sent"] += 1
        return False

    def close(self) -> None:
        """Close the socket; what is under way is lost."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._sockets.close(self._socket)
            self._socket = None

    def _note_icmp(self, error: OSError) -> bool:
        """Count an error that came from the network; return whether it did."""
        is_icmp = isinstance(error, ConnectionRefusedError) or error.errno in NETWORK_UNREACHABLE_ERRORS
        if is_icmp:
            self.icmp_errors += 1
            self._counts["icmp_errors"] += 1
        return is_icmp

    def _on_readable(self) -> None:
        for _ in range(_READS_PER_TURN):
            if self._socket is None:
                return
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_RECEIVE_BYTES, ARRIVAL_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if not self._note_icmp(error):
                    self._counts["receive_errors"] += 1
                return
            try:
                self._on_datagram(data, arrival_s(ancillary))
            except Exception as error:
                self._errors.note("rtp", error)
        # What is left makes the socket readable again in the next turn.
