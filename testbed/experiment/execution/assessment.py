"""The last phase of a run: its processes end, what the machine counted is read, and its fidelity is assessed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.emulation.machine.host_drops import HostDrops
from testbed.emulation.wiring import link_label
from testbed.experiment.execution.environment import CpuTimes
from testbed.experiment.execution.load import RUNNER, Load, overload_tolerant_hosts
from testbed.experiment.fidelity import fidelity
from testbed.experiment.fidelity.process_gaps import Window, assess_gaps
from testbed.experiment.fidelity.troubles import assess_daemons
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch.running import Running
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan
from testbed.runtime.pulse import Recorded, pulse_path, recorded
from topologies.spec import LinkSpec


@dataclass(frozen=True)
class Counted:
    """What the machine did while the load was offered until `ended_s`, and which processes did not end well."""

    ended_s: float
    cpu_share: float
    steal_share: float
    host_drops: HostDrops
    switch_lost: int | None
    unclean: tuple[str, ...]


def end_processes(testbed: Testbed, load: Load, cpu_before: CpuTimes) -> Counted:
    """End all processes; return what was counted, of the drops before their end changes them."""
    ended_s = time.monotonic()
    busy, steal = CpuTimes.now().shares_since(cpu_before)
    drops = testbed.network.host_drops(overload_tolerant_hosts(testbed.plan)).since(load.drops_before)
    unclean = testbed.processes.end(load.processes) + testbed.end_processes()
    return Counted(ended_s, busy, steal, drops, testbed.network.lost_at_switches(), tuple(unclean))


def assess(testbed: Testbed, load: Load, counted: Counted, links: dict[str, Any]) -> tuple[Fidelity, dict[str, float]]:
    """Return the verdict on a run, of the machine and of each system, and how long each process stood still, in ms.

    `links`: the final statistics of the backend.
    """
    assessed = fidelity.assess(
        links=links,
        switch_lost=counted.switch_lost,
        cpu_share=counted.cpu_share,
        steal_share=counted.steal_share,
        unclean=list(counted.unclean),
        generators=sending(testbed.running.values()),
        link_specs=_lasting_specs(testbed.plan),
        idle_links=testbed.measured_links,
        stray_drops=counted.host_drops.dropped,
        received=counted.host_drops.received,
    )
    daemons = testbed.daemons
    assess_daemons(assessed, daemons.ends, daemons.unwatched, list(testbed.network.bridges), load.start_s)
    windows: dict[str, Sequence[Window]] = {}
    for running in testbed.running.values():
        windows.update(running.planned_windows(load.start_s))
    gaps_ms = assess_gaps(assessed, _pulses(testbed), Window(load.start_s, counted.ended_s), windows)
    for running in testbed.running.values():
        running.assess(assessed, load.start_s)
    return assessed, gaps_ms


def _lasting_specs(plan: Plan) -> dict[str, LinkSpec]:
    """Return what each link was configured to do; but for those of which a fault changes what they lose."""
    losing = {(fault.links, fault.degraded.loss_percent) for fault in plan.faults if fault.degraded}
    return {
        link_label(link): link.spec
        for link in plan.topology.links
        if all(links != ((link.a, link.b),) or percent == link.spec.loss_percent for links, percent in losing)
    }


def sending(systems: Iterable[Running]) -> dict[str, Mapping[str, Any]]:
    """Return how the generators of all systems kept to their schedules, by generator and workload."""
    return {name: summary for running in systems for name, summary in running.sending().items()}


def _pulses(testbed: Testbed) -> dict[str, Recorded | None]:
    """Return the pulse of every process that lived for the run, this one among them."""
    paths = {name: pulse_path(testbed.folder, name) for name in (*testbed.processes.started, RUNNER)}
    of_links = testbed.network.links.pulse()
    if of_links is not None:
        paths["the relay"] = of_links
    return {name: recorded(path) for name, path in sorted(paths.items())}
