"""A demonstration carried out: one scenario under several policies, one run after the other, then side by side."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from testbed.analysis.html_report import files
from testbed.analysis.measures.summary import summarise
from testbed.analysis.plots import plots
from testbed.analysis.run_data.loading import RunData, load
from testbed.experiment.demonstration import Demonstration
from testbed.experiment.execution import runner
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.progress import Terminal
from testbed.experiment.scenario import file as scenario_file


def run(shown: Demonstration, results: Path, duration_s: float | None, seed: int | None, console: Console) -> Path:
    """Run the scenario in each case, print the comparison, and return the picture's path."""
    wanted = {"duration_s": duration_s, "seed": seed}
    settings = {**shown.settings(), **{key: value for key, value in wanted.items() if value is not None}}
    runs = [_run(shown, policy, {**case, **settings}, results, console) for policy, case in shown.cases.items()]
    for table in shown.tables(runs):
        console.print(table)
    picture = shown.picture(runs, runs[-1].run_dir / "comparison.png")
    console.print(Text.assemble("The picture: ", (str(picture), "bold")))
    console.print(f"Tables, pictures and report.html of each run: {', '.join(str(data.run_dir) for data in runs)}")
    console.print("Next: copy the scenario (scenario.yaml in either folder), change it, and `dyncast run` it.")
    return picture


def _run(shown: Demonstration, policy: str, settings: dict[str, object], results: Path, console: Console) -> RunData:
    console.rule(Text.assemble(f"{shown.title} under ", (policy, "bold")))
    source = shown.scenario
    plan = make_plan(scenario_file.load(source, settings), source)
    with Terminal(console).showing() as terminal:
        result = runner.run(plan, source, results, terminal)
        data = load(result.run_dir)
        plots.pictures(data, result.run_dir)
        files.write_run(summarise(data))
    return data
