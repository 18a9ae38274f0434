"""Packets that the machine dropped where nothing is emulated: at plain interfaces and at the sockets of processes.

Reads the kernel's counters of namespaces, through the process that holds each one open (None: the root namespace).
Impaired links are not its business, for they count for themselves; nor are the sockets of Open vSwitch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

# Columns of /proc/net/dev after the name.
_RECEIVED, _RECEIVE_DROPS, _SEND_DROPS = 1, 3, 11
# Counters of /proc/net/{snmp,snmp6,netstat}: what a process had no time to take in.
_UNREAD = {
    "snmp": ("Udp", "RcvbufErrors"),
    "snmp6": ("", "Udp6RcvbufErrors"),
    "netstat": ("TcpExt", "ListenDrops"),
}


@dataclass(frozen=True)
class HostDrops:
    """Packets received at the places looked at, and dropped there by place; both since boot."""

    received: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def since(self, earlier: HostDrops) -> HostDrops:
        """Return what came in addition."""
        return HostDrops(self.received - earlier.received, self.dropped - earlier.dropped)


def count(
    interfaces: Mapping[str, Collection[str]], pids: Mapping[str, int | None], overload_tolerant: Collection[str]
) -> HostDrops:
    """Count at these interfaces, by node, and at the sockets of all nodes that are not `overload_tolerant`."""
    received, dropped = 0, Counter[str]()
    for node, pid in pids.items():
        proc = Path("/proc", "self" if pid is None else str(pid), "net")
        for name, counters in _interfaces(proc):
            if name in interfaces.get(node, ()):
                received += counters[_RECEIVED]
                dropped[f"{node} {name}"] += counters[_RECEIVE_DROPS] + counters[_SEND_DROPS]
        if pid is not None and node not in overload_tolerant:
            for file, (section, counter) in _UNREAD.items():
                dropped[f"{node} {counter}"] += _counter(proc / file, section, counter)
    return HostDrops(received, dropped)


def _interfaces(proc: Path) -> Iterator[tuple[str, list[int]]]:
    for line in _lines(proc / "dev")[2:]:
        name, _, counters = line.partition(":")
        yield name.strip(), [int(word) for word in counters.split()]


def _counter(path: Path, section: str, counter: str) -> int:
    """Return a counter of a file whose lines come in pairs, names and values, or hold one of each."""
    lines = [line.split() for line in _lines(path) if line.strip()]
    for names in lines:
        if names[:1] == [counter]:
            return int(names[1])
    for names, values in pairwise(lines):
        if names[0] == values[0] == f"{section}:" and counter in names:
            return int(values[names.index(counter)])
    return 0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:  # the node is gone, or this kernel does not count that
        return []
