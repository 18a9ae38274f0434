"""Before a run: whether this machine has what it takes, and whether its processes would take what they are handed.

Touches nothing but a folder of its own, which is gone afterwards.
"""

from __future__ import annotations

from pathlib import Path

from testbed.emulation.temporary_folders import temporary_folder
from testbed.experiment.execution import captures
from testbed.experiment.plan.plan import Plan
from testbed.experiment.system import systems


def check(plan: Plan, source: Path, *, with_load: bool) -> None:
    """Raise ScenarioError, in one line, for what would end the run; `with_load`: draw the arrivals, too."""
    captures.check_machine(plan, source)
    for system in systems():
        system.check_machine(plan, source)
    with temporary_folder("rehearsal") as folder:
        for system in systems():
            system.rehearse(plan, source, folder / system.name, with_load=with_load)
