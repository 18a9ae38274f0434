"""The counters of a node's own ports: what its kernel counts of them, and the relay of the queues it keeps for them.

Owns both ways to read them, and the file in which a relay publishes. A port of a link that the relay limits to a rate
has its queue there; what its interface counts is only what was handed over. Every other port is read by rtnetlink:
packets and bytes that left, and what the interface and its queueing discipline dropped. `blackhole` does not count:
it stands for a cut somewhere on the way, of which a port knows nothing. Stdlib only, for the relay imports it.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from testbed.net.port_counters import PortCounters, Reading

RELAYED = Struct("=3Qd")  # sent bytes, sent packets, dropped packets; when

_HEADER = Struct("=IHHII")  # struct nlmsghdr
_LINK, _QUEUE = Struct("=BxHiII"), Struct("=BxxxiIII")  # struct ifinfomsg, tcmsg
_COUNTED = Struct("=BxxxII")  # struct if_stats_msg
_ATTRIBUTE = Struct("=HH")
_GET_LINK, _GET_QDISC, _GET_STATS = 18, 38, 94  # RTM_GETLINK, RTM_GETQDISC, RTM_GETSTATS
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_NAME = 3  # IFLA_IFNAME
_LINK_64 = 1  # IFLA_STATS_LINK_64, and its bit in a filter
_STATS = Struct("=8Q")  # received and sent: packets, bytes, errors, dropped
_KIND, _STATS2, _OF_QUEUE = 1, 7, 3  # TCA_KIND, TCA_STATS2, TCA_STATS_QUEUE
_QUEUE_STATS = Struct("=3I")  # length, backlog, drops
_ROOT = 0xFFFFFFFF
_NESTED = 0x3FFF
_BUFFER = 1 << 17


@dataclass(frozen=True)
class PortSource:
    """Where a port's counters are: in a slot of the file of a relay, or with the kernel."""

    name: str
    relay_file: Path | None = None
    relay_slot: int = 0


class PortReader:
    """Read the ports of the network namespace that `netlink`, an rtnetlink socket, was made in."""

    def __init__(self, netlink: socket.socket, sources: Sequence[PortSource]) -> None:
        self._netlink = netlink
        self._sources = sources
        self._names: dict[int, str] = {}  # of interfaces, by index
        self._files = {
            source.relay_file: os.open(source.relay_file, os.O_RDONLY | os.O_CLOEXEC)
            for source in sources
            if source.relay_file is not None
        }

    def read(self, now_s: float) -> dict[str, Reading]:
        """Return the counters of all ports that are there. Raises OSError."""
        found = {}
        for source in self._sources:
            if source.relay_file is not None:
                data = os.pread(self._files[source.relay_file], RELAYED.size, source.relay_slot * RELAYED.size)
                if len(data) == RELAYED.size:
                    *counters, time_s = RELAYED.unpack(data)
                    found[source.name] = Reading(PortCounters(*counters), time_s)
        wanted = {source.name for source in self._sources if source.relay_file is None}
        if wanted:
            found |= {name: Reading(counters, now_s) for name, counters in self._of_kernel(wanted) if name in wanted}
        return found

    def _of_kernel(self, wanted: set[str]) -> Iterator[tuple[str, PortCounters]]:
        dropped: Counter[int] = Counter()
        for body in self._dump(_GET_QDISC, _QUEUE):
            _, index, _, parent, _ = _QUEUE.unpack_from(body)
            attributes = dict(_attributes(body[_QUEUE.size :]))
            statistics = dict(_attributes(attributes.get(_STATS2, b""))).get(_OF_QUEUE)
            if parent == _ROOT and statistics is not None and attributes.get(_KIND) != b"blackhole\0":
                dropped[index] += _QUEUE_STATS.unpack_from(statistics)[2]
        # Not with all else that there is to say of a link, which takes the kernel, and us, several times as long.
        counted = {}
        for body in self._dump(_GET_STATS, _COUNTED, 0, 0, _LINK_64):
            counted[_COUNTED.unpack_from(body)[1]] = dict(_attributes(body[_COUNTED.size :])).get(_LINK_64)
        if not (counted.keys() <= self._names.keys() and wanted <= set(self._names.values())):
            self._names = dict(self._names_of_kernel())
        for index, statistics in counted.items():
            if statistics is not None and index in self._names:
                _, packets, _, octets, _, _, _, lost = _STATS.unpack_from(statistics)
                yield self._names[index], PortCounters(octets, packets, lost + dropped[index])

    def _names_of_kernel(self) -> Iterator[tuple[int, str]]:
        for body in self._dump(_GET_LINK, _LINK):
            name = dict(_attributes(body[_LINK.size :])).get(_NAME)
            if name is not None:
                yield _LINK.unpack_from(body)[2], name.rstrip(b"\0").decode()

    def _dump(self, what: int, body: Struct, *values: int) -> Iterator[bytes]:
        asked = body.pack(*values) if values else bytes(body.size)
        self._netlink.send(_HEADER.pack(_HEADER.size + body.size, what, _DUMP, 0, 0) + asked)
        while True:
            data = self._netlink.recv(_BUFFER)
            while data:
                length, kind, _, _, _ = _HEADER.unpack_from(data)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(f"the kernel refuses to report ports (rtnetlink message {what})")
                yield data[_HEADER.size : length]
                data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & _NESTED, data[_ATTRIBUTE.size : length]
        data = data[(max(length, _ATTRIBUTE.size) + 3) & ~3 :]


def relayed(slots: int, counters: Iterable[tuple[int, PortCounters]], now_s: float) -> bytes:
    """Return what a relay publishes: a record for each of its slots, those without a queue empty."""
    data = bytearray(slots * RELAYED.size)
    for slot, of_slot in counters:
        RELAYED.pack_into(data, slot * RELAYED.size, *of_slot, now_s)
    return bytes(data)
