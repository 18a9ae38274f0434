"""One run from a plan to its results: prepare, offer the load, assess, collect.

Composes the phases and owns their order, and what the manifest learns from each. However a run ends, nothing is left on
the machine, and the manifest says how it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from testbed.experiment.execution import collect, environment, rehearsal, run_folder
from testbed.experiment.execution.assessment import assess, end_processes
from testbed.experiment.execution.captures import Captures
from testbed.experiment.execution.load import offer_load, start_load
from testbed.experiment.execution.planned_manifest import planned
from testbed.experiment.execution.preparation import prepare
from testbed.experiment.execution.run_folder import RunFolder
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.experiment.system import systems
from testbed.records.manifest import FINISHED, Manifest

Case = Mapping[str, Any]


@dataclass(frozen=True)
class RunResult:
    """Where a run's files are, and what it came to."""

    run_dir: Path
    manifest: Manifest


def run(
    plan: Plan, source: Path, results: Path, progress: Progress, *, folder: str | None = None, case: Case | None = None
) -> RunResult:
    """Carry out a plan read from `source`; leave its files under `results`, in `folder` (default: the scenario's name).

    `case`: what the manifest says of the study that the run belongs to. Raises RunError, NoRoomError if the disk is too
    full, or the adapters' errors, each in one line.
    """
    rehearsal.check(plan, source, with_load=False)  # arrivals are drawn before the network is built anyway
    begun_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    manifest = planned(plan, case, begun_at, environment.describe())
    run_dir = run_folder.create(results / (folder or plan.scenario.name), manifest)
    with run_dir.until_the_end():
        _carry_out(plan, source, run_dir, progress)
    return RunResult(run_dir.path, run_dir.manifest)


def _carry_out(plan: Plan, source: Path, folder: RunFolder, progress: Progress) -> None:
    prepared = prepare(plan, source.parent, folder, progress)
    testbed = prepared.testbed
    backends = {"datapath": testbed.backends.datapath, "link": testbed.backends.link}
    folder.manifest = replace(folder.manifest, run_tag=str(testbed.tag), backends=backends)
    captures = Captures(plan, folder.captures)
    testbed.upon_network = captures.begin_early
    with testbed:
        folder.manifest = folder.manifest.with_durations(**testbed.durations_s)
        cpu_before = environment.CpuTimes.now()
        with captures.until_the_end(testbed.network):
            load = start_load(testbed, prepared.load_processes)
            folder.manifest = replace(folder.manifest, start_s=load.start_s)
            offer_load(testbed, load, folder, progress)
        progress.phase("ending the run")
        counted = end_processes(testbed, load, cpu_before)
    links = testbed.network.links.statistics()  # the final ones, now that the links are closed
    fidelity, gaps_ms = assess(testbed, load, counted, links)
    folder.manifest = replace(
        folder.manifest,
        fidelity=fidelity.as_entry(),
        process_gaps_ms=gaps_ms,
        switch_lost_packets=counted.switch_lost,
        stray_drops=dict(+counted.host_drops.dropped),
        links=links,
        captures=tuple(captures.entries),
    )
    _collect(plan, folder, progress)


def _collect(plan: Plan, folder: RunFolder, progress: Progress) -> None:
    """Make the tables of what processes wrote; have systems work out what only all tables together say."""
    progress.phase("collecting the tables")
    folder.manifest = replace(folder.manifest, rows=collect.collect(folder.work, folder.path, plan))
    folder.write_manifest()
    for system in systems():
        system.conclude(plan, folder.path, progress)
    folder.manifest = replace(folder.manifest, status=FINISHED)
    folder.remove_work()
