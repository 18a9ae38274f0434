"""Small studies for tests, and runs of their cases as the runner would leave them, without running anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from testbed.experiment.execution.runner import RunResult
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.records import manifest as manifests
from testbed.records.manifest import MANIFEST_FORMAT, Manifest
from testbed.records.tables import catalogue
from tests.scenarios import small_document

RATE = "workloads.0.arrivals.rate_per_s"


def write_study(folder: Path, **changes: Any) -> Path:
    """Write a study of two loads, two policies and two seeds (eight cases), and its scenario beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(yaml.safe_dump(small_document()))
    document = {
        "name": "loads",
        "scenario": "small.yaml",
        "grid": {RATE: [10, 20]},
        "policies": ["closest", "dyncast"],
        "seeds": 2,
    }
    path = folder / "study.yaml"
    kept = {key: value for key, value in (document | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(kept, sort_keys=False))
    return path


def write_run(run_dir: Path, case: Mapping[str, Any], **changes: Any) -> Manifest:
    """Write the folder of a finished run of a case; return its manifest."""
    run_dir.mkdir(parents=True)
    document: dict[str, Any] = {
        "format": MANIFEST_FORMAT,
        "status": "finished",
        "case": dict(case),
        "begun_at": "2026-01-01T00:00:00+00:00",
        "duration_s": 4.0,
        "durations_s": {"whole": 10.0},
        "fidelity": {"verdict": "valid"},
        "environment": {"git_commit": "abc"},
        "rows": dict.fromkeys(catalogue(), 0),
    } | changes
    for name, table in catalogue().items():
        (run_dir / f"{name}.csv").write_text(",".join(table.names) + "\n")
    path = run_dir / manifests.NAME
    path.write_text(json.dumps(document))
    return manifests.read(path)


class PretendedRunner:
    """Stands in for `runner.run`: leaves a finished run of each case, unless `goes_wrong` raises for it."""

    def __init__(self, goes_wrong: Callable[[int], None] = lambda _: None) -> None:
        self.cases: list[str] = []
        self._goes_wrong = goes_wrong

    def __call__(
        self, plan: Plan, source: Path, results: Path, progress: Progress, *, folder: str, case: Mapping[str, Any]
    ) -> RunResult:
        assert source.is_file()
        progress.phase("pretending")
        self.cases.append(folder)
        run_dir = results / folder / f"run-{len(list((results / folder).glob('*')))}"
        run_dir.parent.mkdir(exist_ok=True)
        try:
            self._goes_wrong(len(self.cases))
        except KeyboardInterrupt:
            write_run(run_dir, case, status="interrupted", error="KeyboardInterrupt")
            raise
        manifest = write_run(run_dir, case, duration_s=plan.scenario.duration_s, seed=plan.scenario.seed)
        return RunResult(run_dir, manifest)
