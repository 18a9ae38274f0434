"""The kernel's own table of connections: how full it is, and what found no room in it.

Owns what the files of /proc say. The table is that of this process's network namespace, where the bridges of Open
vSwitch's kernel datapath are, too.
"""

from __future__ import annotations

from pathlib import Path

STATISTICS = Path("/proc/net/stat/nf_conntrack")
LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")


def refused() -> int:
    """Return how many packets were dropped for want of room; 0 where the kernel does not say."""
    # What is dropped since another processor has just entered the same connection is counted as not inserted, too.
    return max(0, sum(row["drop"] - row["insert_failed"] for row in _rows()))


def connections() -> int:
    """Return how many there are; each processor's line says so of the whole table. Raises OSError."""
    return max((row["entries"] for row in _rows()), default=0)


def limit() -> int:
    """Return how many there may be. Raises OSError."""
    return int(LIMIT.read_text())


def _rows() -> list[dict[str, int]]:
    """Read a line of names, and one of hexadecimal numbers for each processor; none without the module."""
    if not STATISTICS.exists():
        return []
    names, *lines = STATISTICS.read_text().splitlines()
    return [dict(zip(names.split(), (int(word, 16) for word in line.split()), strict=True)) for line in lines]
