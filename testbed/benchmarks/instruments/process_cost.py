"""What processes cost: CPU time to the nanosecond and memory, from /proc, by what each of them is.

Knows the modules that a run's processes execute, and Open vSwitch's daemon; nothing of what they do.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.emulation.run_tag import RunTag
from testbed.emulation.tagged_processes import tagged_processes

_KINDS = {
    "ryu_apps.launcher": "control",
    "testbed.agents.metric_agent": "agent",
    "testbed.agents.instance": "instance",
    "testbed.emulation.relay": "relay",
}
_SWITCH = "ovs-vswitchd"
_KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Memory:
    """Of one process, in MiB: its share of what it shares (PSS), what is its own (USS), all that is resident."""

    pss: float
    uss: float
    rss: float


def by_kind(tag: RunTag) -> Mapping[str, list[int]]:
    """Return the processes of a run, by kind, and the switch."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for process in tagged_processes().get(tag, []):
        kind = next((_KINDS[word] for word in process.command if word in _KINDS), None)
        if kind is not None:
            kinds[kind].append(process.pid)
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text().strip() == _SWITCH:
                kinds["switch"].append(int(path.parent.name))
    return kinds


def cpu_shares(kinds: Mapping[str, list[int]], window_s: float) -> Mapping[str, float]:
    """Watch processes for a while; return the share of a core that all of a kind have used."""
    begin_s = time.monotonic()
    before = {kind: sum(map(cpu_s, pids)) for kind, pids in kinds.items()}
    time.sleep(window_s)
    used = {kind: sum(map(cpu_s, pids)) - before[kind] for kind, pids in kinds.items()}
    passed_s = time.monotonic() - begin_s
    return {kind: seconds / passed_s for kind, seconds in used.items()}


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    own = kib["Private_Clean"] + kib["Private_Dirty"]
    return Memory(kib["Pss"] / _KIB_PER_MIB, own / _KIB_PER_MIB, kib["Rss"] / _KIB_PER_MIB)


def cpu_s(pid: int) -> float:
    """Return how much CPU time a process has used."""
    stats = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(stat[0]) for stat in stats) / 1e9
