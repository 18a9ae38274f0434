"""The first phase of a run: its files are written, and its testbed is ready to be built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testbed.emulation import run_tag
from testbed.experiment.execution.run_folder import RunFolder
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.experiment.scenario import file as scenario_file
from topologies import yaml_form


@dataclass(frozen=True)
class Prepared:
    """A testbed to be entered, and how many processes will offer the load."""

    testbed: Testbed
    load_processes: int


def prepare(plan: Plan, base: Path, folder: RunFolder, progress: Progress) -> Prepared:
    """Write the resolved scenario, its topology and all arrivals; look at the machine, and claim a run tag.

    `base` is what paths in the scenario are relative to. Raises RunError, or the adapters' errors.
    """
    (folder.path / "scenario.yaml").write_text(scenario_file.dump(plan.scenario), encoding="utf-8")
    (folder.path / "topology.yaml").write_text(yaml_form.dump(plan.topology), encoding="utf-8")
    testbed = Testbed(plan, folder.work, folder.logs, progress)
    with run_tag.released_on_error(testbed.tag):
        return Prepared(testbed, sum(running.prepare_load(base) for running in testbed.running.values()))
