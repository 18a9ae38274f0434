"""The same study twice: the same requests come at the same times, and the figures agree within their intervals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from testbed import analysis
from tests.machine import dyncast

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

_STUDY = {
    "name": "twice",
    "scenario": {
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "west": {"at": "Denver"}},
        "services": {"render": {"d_sid": "203.0.113.10"}},
        "instances": [
            {"service": "render", "site": "east", "workers": 2, "queue_limit": 20},
            {"service": "render", "site": "west", "workers": 4, "queue_limit": 20},
        ],
        "clients": [{"site": "east", "count": 2}],
        "workloads": [
            {"name": "jobs", "service": "render", "clients": ["east"], "arrivals": {"rate_per_s": 60},
             "work": {"mean_ms": 60}},
        ],
        "warm_up_s": 2,
        "duration_s": 10,
    },
    "policies": ["closest", "dyncast"],
    "seeds": 3,
}  # fmt: skip


def _arrivals(run_dir: Path) -> pd.DataFrame:
    run = analysis.load(run_dir)
    table = run.flows.assign(offset_s=run.flows["due_s"] - run.start_s)
    columns = ["flow_id", "workload", "client", "offset_s", "work_ms"]
    return table[columns].sort_values("flow_id", ignore_index=True).astype({"workload": object, "client": object})


def test_the_same_study_twice_agrees(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(yaml.safe_dump(_STUDY))
    compared = []
    for out in ("first", "second"):
        done = dyncast("sweep", str(path), "--out", str(tmp_path / out), timeout_s=400)
        assert done.returncode == 0, done.stdout + done.stderr
        table = analysis.compare(analysis.load_study(tmp_path / out / "twice"), baseline="closest")
        compared.append(table.set_index(["policy", "measure"]))

    by_seed: dict[str, list[pd.DataFrame]] = {}
    for run_dir in sorted(tmp_path.glob("*/twice/runs/*/*")):
        by_seed.setdefault(run_dir.parent.name.rpartition("seed=")[2], []).append(_arrivals(run_dir))
    assert {seed: len(runs) for seed, runs in by_seed.items()} == {"1": 4, "2": 4, "3": 4}
    for first, *others in by_seed.values():
        assert len(first) > 400
        for other in others:  # under the other policy, and in the other study
            pd.testing.assert_frame_equal(first, other, rtol=0, atol=5e-6)  # tables have microseconds
    assert not by_seed["1"][0]["work_ms"].equals(by_seed["2"][0]["work_ms"])

    one, other = compared
    for policy in ("closest", "dyncast"):
        for measure in ("completion_mean_ms", "completion_p95_ms", "unserved_percent"):
            key = (policy, measure)
            assert one.at[key, "ci95_low"] <= other.at[key, "ci95_high"], key
            assert other.at[key, "ci95_low"] <= one.at[key, "ci95_high"], key
    for table in compared:  # and both come to the same conclusion
        assert table.at[("dyncast", "completion_mean_ms"), "difference_ci95_high"] < 0
