"""The sockets of this network namespace, as /proc/net/tcp and its like list them.

Owns reading those files: who listens at a port, how many connections there are to it. What a host asks itself is the
testbed's own looking, and does not count. Knows no processes: in a namespace of its own, who serves a port is plain.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_ESTABLISHED, _CLOSE_WAIT, _LISTEN = "01", "08", "0A"  # of linux/tcp_states.h
_SERVED = (_ESTABLISHED, _CLOSE_WAIT)  # a client that has said all it had to say may still wait for its answer
_FOLDER = Path("/proc/self/net")


def is_open(protocol: str, port: int) -> bool:
    """Return whether somebody listens at a TCP port, or has bound a UDP port."""
    return any(
        (state == _LISTEN or protocol == "udp") for local, _, state in _sockets(protocol) if _port(local) == port
    )


def connections(port: int) -> int:
    """Return how many TCP connections to a port there are, those that nobody has accepted yet included."""
    return count_connections(_lines("tcp"), port)


def count_connections(lines: Iterable[str], port: int) -> int:
    """Return how many connections to a port lines of /proc/net/tcp and tcp6 list."""
    ending = f":{port:04X}"
    count = 0
    for line in lines:
        fields = line.split(None, 4)
        if len(fields) > 3 and fields[3] in _SERVED and fields[1].endswith(ending):
            count += _host(fields[1]) != _host(fields[2])
    return count


def _sockets(protocol: str) -> Iterable[tuple[str, str, str]]:
    for line in _lines(protocol):
        _, local, remote, state, _ = line.split(None, 4)
        yield local, remote, state


def _lines(protocol: str) -> list[str]:
    found = []
    for name in (protocol, f"{protocol}6"):
        path = _FOLDER / name
        if path.exists():  # a kernel may have no IPv6
            found += path.read_text().splitlines()[1:]
    return found


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _host(address: str) -> str:
    return address.rpartition(":")[0]
