"""Functions placed by the policy `oracle`: each decision goes by how clusters and links are at that moment."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from tests.faas_process import remains
from tests.function_scenarios import two_ways
from tests.machine import dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

# A function that fills the one slot of a cluster for longer than the way to the other one takes.
SLOW = "import time\n\ndef main(args):\n    time.sleep(0.15)\n    return {}\n"
HELD = {"code": "echo.py", "memory_mb": 128, "timeout_s": 5, "delivered_to": ["north", "west"]}


def test_each_decision_goes_by_the_state_of_the_moment(tmp_path: Path) -> None:
    clusters = [{"site": site, "slots": 1, "memory_mb": 128} for site in ("north", "west")]
    faults = [
        {"at_s": 5, "kind": "link_degraded", "link": ["Indianapolis", "Chicago"], "delay_ms": 100},
        {"at_s": 7.5, "kind": "cluster_killed", "site": "west"},
    ]
    changes = {"functions": {"echo": HELD}, "clusters": clusters, "faults": faults, "duration_s": 9}
    scenario = two_ways(tmp_path, SLOW, "oracle", **changes)
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert remains() == []
    run = load(next((tmp_path / "results" / "functions").iterdir()))
    assert run.policy == "oracle"
    assert [check.detail for check in checks(run) if not check.ok] == []
    decisions = run.placements[run.placements["outcome"] == "redirected"].astype({"cluster": object})
    assert decisions["age_s"].median() < 0.01
    fault, killed = run.faults.itertuples()

    # The link: no decision after the fault goes by the delay from before it, nor the other way round.
    link_ms = {"north": 1.32, "after": 100.0}
    north = decisions[decisions["cluster"] == "cluster@north"]
    before, after = north["time_s"] < fault.time_s - 0.5, north["time_s"] > fault.time_s
    assert before.any() and (north.loc[before, "path_ms"] < 4 * link_ms["north"] + 5).all()
    assert (north.loc[after, "path_ms"] > 4 * link_ms["after"]).all()
    later = decisions[decisions["time_s"].between(fault.time_s, killed.time_s - 0.5)]
    assert len(later) > 10 and (later["cluster"] == "cluster@west").mean() > 0.6

    # A cluster that is no more: nobody is sent there.
    last = decisions.loc[decisions["time_s"] > killed.time_s, "cluster"]
    assert len(last) > 3 and set(last) == {"cluster@north"}

    # The load: while one cluster surely works and the other surely does not, users go to the other.
    early = decisions[decisions["time_s"] < fault.time_s - 0.5]
    idle_one = [other for row in early.itertuples() if (other := _only_idle(run.activations, decisions, row.time_s))]
    chosen = [row.cluster for row in early.itertuples() if _only_idle(run.activations, decisions, row.time_s)]
    assert len(chosen) >= 5
    right = sum(one == other for one, other in zip(chosen, idle_one, strict=True))
    assert right / len(chosen) > 0.75  # who is blind to load is right half of the time


def _only_idle(activations: pd.DataFrame, decisions: pd.DataFrame, now_s: float) -> str | None:
    """Return the one cluster at which surely nothing runs or is on its way, while something runs at the other."""
    under_way = {}
    for cluster in ("cluster@north", "cluster@west"):
        sent_s = decisions.loc[decisions["cluster"] == cluster, "time_s"]
        of_it = activations[activations["cluster"].astype(object) == cluster]
        ended_s = of_it["due_s"] + of_it["response_ms"] / 1e3
        began = int((sent_s < now_s).sum())
        under_way[cluster] = (began - int((ended_s - 0.06 < now_s).sum()), began - int((ended_s < now_s).sum()))
    busy = [cluster for cluster, (least, _) in under_way.items() if least > 0]
    idle = [cluster for cluster, (_, most) in under_way.items() if most == 0]
    return idle[0] if len(busy) == 1 and len(idle) == 1 else None
