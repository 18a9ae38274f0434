"""What clients and instances send each other directly, by the instance's own address, while a testbed stands.

Owns a packet socket at each client, whose filter takes next to nothing as long as all go by D-SIDs, and the table
`direct`. A client that asks a D-SID must never receive a packet from a D-BID: the consistency checks of a run say so.
"""

from __future__ import annotations

import selectors
import socket
import struct
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from time import monotonic

from testbed.emulation.netns.namespaces import entered
from testbed.experiment.systems.dyncast.run.conversations import Conversations
from testbed.linux.packet_filter import AND, JEQ, LDB, LDW, PACKET_TYPE, RET, Instruction, attach
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals
from testbed.records import control_rows
from testbed.records.writer import RecordWriter

DROPPED = "direct_packets_dropped"

_ETH_P_ALL = 3
_SNAPPED_BYTES = 160
_BUFFER_BYTES = 1 << 22
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
# The first octet of every host's address (topologies.addressing), and where it is in a packet, by version.
_OCTET = {4: 10, 6: 0xFD}
_SOURCE, _DESTINATION = {4: 12, 6: 8}, {4: 16, 6: 24}


class DirectTraffic:
    """Watches clients from now until `close`. `clients`: a process in the namespace of each."""

    def __init__(self, clients: Mapping[str, int], d_bids: Collection[str], folder: Path) -> None:
        self._folder = folder
        self._conversations = Conversations(d_bids)
        self._sockets = {name: _opened(pid) for name, pid in clients.items()}
        self._awake, self._waker = socket.socketpair()
        self._thread = Thread(target=self._watch, name="direct traffic", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take in what has come, write it down, let the clients go; safe to call twice."""
        if self._waker.fileno() < 0:
            return
        self._waker.close()
        self._thread.join()
        self._awake.close()
        with ExitStack() as stack:
            for opened in self._sockets.values():
                stack.callback(opened.close)
            for name, opened in self._sockets.items():
                self._read(name, opened)
            self._write()

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._awake, selectors.EVENT_READ, "")
            for name, opened in self._sockets.items():
                selector.register(opened, selectors.EVENT_READ, name)
            while True:
                for key, _ in selector.select():
                    if not key.data:
                        return
                    self._read(key.data, self._sockets[key.data])

    def _read(self, name: str, opened: socket.socket) -> None:
        while True:
            try:
                data, ancillary, _, (interface, _, kind, *_) = opened.recvmsg(_SNAPPED_BYTES, ARRIVAL_BYTES)
            except BlockingIOError:
                return
            except OSError:  # its interface went down: the network is being removed
                continue
            if interface != "lo":
                self._conversations.note(name, data, kind == socket.PACKET_OUTGOING, arrival_s(ancillary))

    def _write(self) -> None:
        with RecordWriter(self._folder, "clients") as records:
            for row in self._conversations.rows():
                records.write("direct", row)
            for name, opened in self._sockets.items():
                _, dropped = struct.unpack("=II", opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
                for row in control_rows.local(monotonic(), name, +Counter({DROPPED: dropped})):
                    records.write("control", row)


def direct_filter() -> list[Instruction]:
    """Return a classic BPF program that takes what comes from, or goes to, an address that a host may have.

    It takes nothing that a switch floods here and is for another host.
    """
    return [
        (LDW, 0, 0, PACKET_TYPE),
        (JEQ, len(_towards(_SOURCE)) + 2, 0, socket.PACKET_OUTGOING),
        (JEQ, 1, 0, socket.PACKET_HOST),
        (RET, 0, 0, 0),
        *_towards(_SOURCE),
        *_towards(_DESTINATION),
    ]


def _towards(octets: Mapping[int, int]) -> list[Instruction]:
    return [
        (LDB, 0, 0, 0),
        (AND, 0, 0, 0xF0),
        (JEQ, 0, 2, 4 << 4),
        (LDB, 0, 0, octets[4]),
        (JEQ, 3, 4, _OCTET[4]),
        (JEQ, 0, 3, 6 << 4),
        (LDB, 0, 0, octets[6]),
        (JEQ, 0, 1, _OCTET[6]),
        (RET, 0, 0, _SNAPPED_BYTES),
        (RET, 0, 0, 0),
    ]


def _opened(pid: int) -> socket.socket:
    with entered(pid):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    attach(opened, direct_filter())
    ask_for_arrivals(opened)
    return opened
