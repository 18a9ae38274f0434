"""What an instance uses of its machine: CPU share, resident memory, network throughput, and their limits.

Owns reading `/proc` and the memory control group: the raw (L0) computing and communication metrics of the CATS metric
definition that an instance cannot distinguish from its own work. Knows nothing of services; the caller says when to
sample.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_CGROUP_UNLIMITED = 1 << 60  # v1 says "no limit" by a number near 2^63


class Traffic(NamedTuple):
    """Octets received and sent on all interfaces but loopback."""

    received: int
    sent: int


class ResourceUse:
    """CPU and network use between the last two samples. `cores` is how many the instance may use."""

    def __init__(self, cores: float, now_s: float, cpu_s: float) -> None:
        self._cores = cores
        self._sampled_s, self._cpu_s, self._traffic = now_s, cpu_s, traffic_now()
        self.cpu_utilisation = 0.0
        self.throughput_bps = 0.0

    def sample(self, now_s: float, cpu_s: float) -> None:
        """Take in the CPU time used so far, and read the interfaces."""
        span_s = now_s - self._sampled_s
        if span_s <= 0:
            return
        traffic = traffic_now()
        octets = max(after - before for after, before in zip(traffic, self._traffic, strict=True))
        self.cpu_utilisation = min(1.0, max(0.0, (cpu_s - self._cpu_s) / span_s / self._cores))
        self.throughput_bps = max(0, octets) * 8 / span_s
        self._sampled_s, self._cpu_s, self._traffic = now_s, cpu_s, traffic


def cores_available() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def memory_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_limit_bytes() -> int:
    """Return the memory that this process may use: the least of machine, control group and address space limit."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        limits.append(address_space)
    mounts = Path("/proc/mounts").read_text().splitlines()
    limits += cgroup_limits(mounts, Path("/proc/self/cgroup").read_text().splitlines())
    return min(limits)


def cgroup_limits(mounts: Iterable[str], memberships: Iterable[str]) -> list[int]:
    """Return the memory limits of a process's control groups, by lines of /proc/mounts and /proc/self/cgroup."""
    groups: dict[str, str] = {}
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    found = []
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 4 or fields[2] not in ("cgroup", "cgroup2"):
            continue
        is_v2 = fields[2] == "cgroup2"
        if not is_v2 and "memory" not in fields[3].split(","):
            continue
        name = "memory.max" if is_v2 else "memory.limit_in_bytes"
        own = groups.get("" if is_v2 else "memory", "/")
        group = Path(fields[1]) / own.lstrip("/")
        # In a container the path may be that of the outside, and only the mount point be there.
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(fields[1]))):
            found += _limit(folder / name)
    return found


def _limit(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdecimal() and int(text) < _CGROUP_UNLIMITED else []


def traffic_now() -> Traffic:
    """Return the octets of all interfaces of this network namespace."""
    return traffic(Path("/proc/self/net/dev").read_text().splitlines())


def traffic(lines: Iterable[str]) -> Traffic:
    """Return the octets that lines of /proc/net/dev count."""
    received = sent = 0
    for line in lines:
        name, colon, counts = line.partition(":")
        if colon and name.strip() != "lo":
            fields = counts.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return Traffic(received, sent)
