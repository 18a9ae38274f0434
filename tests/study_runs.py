"""Small finished runs as a study has them: a scenario, a policy, a seed, and requests that took so long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from testbed.analysis.measures.run_measures import measures
from testbed.analysis.study.study_figures import StudyFigures
from tests.analysis_data import Row, write_tables
from tests.small_run import MANIFEST, call, flow, heard

SCENARIO: dict[str, object] = {
    "name": "hand",
    "description": "",
    "services": {"web": {"d_sid": "203.0.113.10", "policy": None}},
    "workloads": [{"name": "jobs", "clients": ["x", "y"], "arrivals": {"rate_per_s": 45}}],
    "policy_parameters": {},
    "dns": None,
    "seed": 1,
}


def rated(rate_per_s: float) -> dict[str, object]:
    """Return the scenario with another rate of arrivals."""
    return {"workloads": [{"name": "jobs", "clients": ["x", "y"], "arrivals": {"rate_per_s": rate_per_s}}]}


def write_study_run(
    run_dir: Path,
    policy: str = "closest",
    seed: int = 1,
    completions_ms: Sequence[float] = (10.0, 20.0, 60.0),
    *,
    refused: int = 0,
    calls: Sequence[tuple[int, int, float]] = (),
    scenario: Mapping[str, object] = {},
    manifest: Mapping[str, object] = {},
) -> Path:
    """Write a run of a request per completion time; `calls`: packets sent, packets back, jitter in ms of each."""
    flows: list[Row] = [flow(number, "ok", "a@x", completion_ms=ms) for number, ms in enumerate(completions_ms)]
    flows += [flow(1000 + number, "refused", "a@x") for number in range(refused)]
    flows += [call(2000 + number, sent, back) for number, (sent, back, _) in enumerate(calls)]
    rtp = [heard(f"f{2000 + n}", "echo", sent, back, jitter, 30.0) for n, (sent, back, jitter) in enumerate(calls)]
    sender = {"node": "x", "direction": "sent", "peer": "y", "kind": "report", "messages": 1}
    control: list[Row] = [{**sender, "time_s": 99.0, "bytes": 500}, {**sender, "time_s": 109.0, "bytes": 1700}]
    document = {**SCENARIO, **scenario, "policy": policy, "seed": seed}
    says = {**MANIFEST, "format": 1, "status": "finished", "policy": policy, "seed": seed, **manifest}
    write_tables(run_dir, {"flows": flows, "rtp": rtp, "control": control}, says)
    (run_dir / "scenario.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return run_dir


def verdict(word: str, *reasons: str) -> dict[str, object]:
    """Return what the manifest says of the fidelity of a run."""
    return {"fidelity": {"verdict": word, "reasons": list(reasons)}}


def figures_of(by_load: Mapping[float, Mapping[str, Mapping[int, float]]]) -> StudyFigures:
    """Return a study by one factor, `load`, of runs that never were: mean completion times by policy and seed."""
    nothing = dict.fromkeys(measures(), float("nan"))
    rows = [
        {"run_dir": f"{load:g}/{policy}/{seed}", "load": load, "policy": policy, "seed": seed, "verdict": "valid"}
        | {"reasons": "", "service": "web", "offered": 1.0, **nothing, "completion_mean_ms": mean_ms}
        for load, policies in by_load.items()
        for policy, values in policies.items()
        for seed, mean_ms in values.items()
    ]
    return StudyFigures(("load",), pd.DataFrame(rows))
