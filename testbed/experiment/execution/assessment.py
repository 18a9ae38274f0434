"""The last phase of a run: its processes end, what the machine counted is read, and its fidelity is assessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testbed.emulation.machine.host_drops import HostDrops
from testbed.emulation.wiring import link_label
from testbed.experiment.execution.environment import CpuTimes
from testbed.experiment.execution.load import Load, overload_tolerant_hosts
from testbed.experiment.fidelity import fidelity
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch.testbed import Testbed


@dataclass(frozen=True)
class Counted:
    """What the machine did while the load was offered, and which processes did not end well."""

    cpu_share: float
    steal_share: float
    host_drops: HostDrops
    switch_lost: int
    unclean: tuple[str, ...]


def end_processes(testbed: Testbed, load: Load, cpu_before: CpuTimes) -> Counted:
    """End all processes; return what was counted, of the drops before their end changes them."""
    busy, steal = CpuTimes.now().shares_since(cpu_before)
    drops = testbed.network.host_drops(overload_tolerant_hosts(testbed.plan)).since(load.drops_before)
    unclean = testbed.processes.end(load.processes) + testbed.end_processes()
    return Counted(busy, steal, drops, testbed.network.lost_at_switches(), tuple(unclean))


def assess(testbed: Testbed, load: Load, counted: Counted, links: dict[str, Any]) -> Fidelity:
    """Return the verdict on a run: of the machine, and of each system. `links`: the final statistics of the backend."""
    assessed = fidelity.assess(
        links=links,
        switch_lost=counted.switch_lost,
        cpu_share=counted.cpu_share,
        steal_share=counted.steal_share,
        unclean=list(counted.unclean),
        link_specs={link_label(link): link.spec for link in testbed.plan.topology.links},
        idle_links=testbed.measured_links,
        stray_drops=counted.host_drops.dropped,
        received=counted.host_drops.received,
    )
    for running in testbed.running.values():
        running.assess(assessed, load.start_s)
    return assessed
