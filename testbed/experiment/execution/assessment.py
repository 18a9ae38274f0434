"""The last phase of a run: its processes end, what the machine counted is read, and its fidelity is assessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.emulation.machine.host_drops import StrayDrops
from testbed.emulation.wiring import link_label
from testbed.experiment.execution import baseline_measures
from testbed.experiment.execution.environment import CpuTimes
from testbed.experiment.execution.load import Load, overload_tolerant_hosts
from testbed.experiment.fidelity import fidelity
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch import command_configs
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan


@dataclass(frozen=True)
class Counted:
    """What the machine did while the load was offered, and which processes did not end well."""

    cpu_share: float
    steal_share: float
    host_drops: StrayDrops
    switch_lost: int
    unclean: tuple[str, ...]


def end_processes(plan: Plan, testbed: Testbed, load: Load, cpu_before: CpuTimes) -> Counted:
    """End all processes; return what was counted, of the drops before their end changes them."""
    busy, steal = CpuTimes.now().shares_since(cpu_before)
    drops = testbed.network.stray_drops(overload_tolerant_hosts(plan)).since(load.drops_before)
    unclean = testbed.processes.end(load.processes) + testbed.end_processes()
    return Counted(busy, steal, drops, testbed.network.lost_at_switches(), tuple(unclean))


def assess(plan: Plan, load: Load, counted: Counted, links: dict[str, Any], work: Path) -> Fidelity:
    """Return the verdict on a run; `links`: the final statistics of the link backend, `work`: what processes wrote."""
    judged = fidelity.judge(
        generators=dict(_sending(load.generators, work)),
        links=links,
        switch_lost=counted.switch_lost,
        cpu_share=counted.cpu_share,
        steal_share=counted.steal_share,
        unclean=list(counted.unclean),
        link_specs={link_label(link): link.spec for link in plan.topology.links},
        idle_links=load.idle_links,
        paths=load.idle_paths,
        control_delays_ms=baseline_measures.control_delays_ms(work, load.start_s),
        stray_drops=counted.host_drops.dropped,
        received=counted.host_drops.received,
    )
    for failure in command_configs.failed_loads(work):
        judged.fail(failure)
    return judged


def _sending(generators: tuple[str, ...], work: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield how true each generator was to each of its workloads."""
    for name in generators:
        document = json.loads((work / f"{name}.generator.json").read_text(encoding="utf-8"))
        for workload, summary in document["workloads"].items():
            yield f"{name}/{workload}", summary["sending"]
