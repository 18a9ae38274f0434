"""Scenarios built, varied and run from Python, with the keys, checks and errors of scenario files.

Owns nothing but the way there: what a scenario is, and how it is run, is owned by `scenario` and `runner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed.experiment.execution.runner import run as run_plan
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.progress import Progress, Silent
from testbed.experiment.scenario import file as scenario_file
from testbed.experiment.scenario.scenario import Scenario

_SOURCE = "scenario"


def load(path: Path | str, **settings: Any) -> Scenario:
    """Read a scenario file, or build on it: `settings` are top-level keys. Raises ScenarioError in one line."""
    return scenario_file.load(Path(path), settings)


def build(**keys: Any) -> Scenario:
    """Return a scenario of these keys, nested as in a scenario file. Raises ScenarioError in one line."""
    return scenario_file.parse(keys, _SOURCE)


def changed(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """Return a scenario with other values, by dotted key as for `--set`. Raises ScenarioError in one line."""
    document = scenario.model_dump(mode="json")
    for key, value in settings.items():
        scenario_file.override(document, key, value, key, Path(_SOURCE))
    return scenario_file.parse(document, _SOURCE)


def run(
    scenario: Scenario,
    results: Path | str = "results",
    *,
    files: Path | str = ".",
    progress: Progress | None = None,
) -> Path:
    """Run a scenario, as root; return the run's folder, below `results`.

    `files`: the folder that paths in the scenario are relative to. Raises ScenarioError for what cannot be run, and
    RunError or the adapters' errors for what went wrong, each in one line.
    """
    source = Path(files) / f"{_SOURCE}.yaml"
    return run_plan(make_plan(scenario, source), source, Path(results), progress or Silent()).run_dir
