"""Arguments and options that several commands have, and what they must be together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.errors import TestbedError

if TYPE_CHECKING:
    from testbed.experiment.plan.plan import Plan

ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file, YAML.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Set a scenario key, such as metrics.interval_s=0.5.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of all workload randomness.")]
Out = Annotated[Path, typer.Option(help="Folder for results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


class CommandError(TestbedError):
    """A command cannot do what it was asked for; one line says what to change."""


def need_root(command: str) -> None:
    """Raise CommandError unless this is root."""
    if os.geteuid() != 0:
        raise CommandError(f"{command} needs root for namespaces and Open vSwitch: start it with sudo")


def planned(path: Path, settings: list[str], seed: int | None) -> Plan:
    """Return the plan of a scenario file with what the command line sets in it."""
    from testbed.experiment.plan import plan
    from testbed.experiment.scenario import file as scenario_file

    overrides = scenario_file.parse_settings([*settings, *([] if seed is None else [f"seed={seed}"])])
    return plan.make_plan(scenario_file.load(path, overrides), path)
