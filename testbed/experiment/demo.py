"""The demonstration: one scenario under two policies, side by side."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from rich.console import Console
from rich.text import Text

from testbed.analysis.html_report import files
from testbed.analysis.measures import terminal_tables
from testbed.analysis.measures.summary import summarise
from testbed.analysis.plots import plots
from testbed.analysis.run_data.loading import RunData, load
from testbed.experiment.execution import runner
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.progress import Terminal
from testbed.experiment.scenario import file as scenario_file

POLICIES = ("closest", "dyncast")


def run(results: Path, duration_s: float | None, seed: int | None, console: Console) -> Path:
    """Run the demo scenario under each policy, print the comparison, and return the picture's path."""
    with importlib.resources.as_file(importlib.resources.files(__package__) / "scenarios" / "demo.yaml") as source:
        runs = [_run_under(policy, source, results, duration_s, seed, console) for policy in POLICIES]
    console.print(terminal_tables.comparison_table(runs))
    picture = plots.compare(runs, runs[-1].run_dir / "comparison.png")
    console.print(Text.assemble("The picture: ", (str(picture), "bold")))
    console.print(f"Tables, pictures and report.html of each run: {', '.join(str(data.run_dir) for data in runs)}")
    console.print("Next: copy the scenario (scenario.yaml in either folder), change it, and `dyncast run` it.")
    return picture


def _run_under(
    policy: str, source: Path, results: Path, duration_s: float | None, seed: int | None, console: Console
) -> RunData:
    overrides: dict[str, object] = {"policy": policy}
    if duration_s is not None:
        overrides["duration_s"] = duration_s
    if seed is not None:
        overrides["seed"] = seed
    console.rule(Text.assemble("the hot spot under ", (policy, "bold")))
    plan = make_plan(scenario_file.load(source, overrides), source)
    with Terminal(console).showing() as terminal:
        result = runner.run(plan, source, results, terminal)
        data = load(result.run_dir)
        plots.pictures(data, result.run_dir)
        files.write_run(summarise(data))
    return data
