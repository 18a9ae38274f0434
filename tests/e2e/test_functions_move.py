"""A link on the way degrades in the middle of a run: by what ALTO says a function moves, by nearness it stays."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from testbed.analysis.alto import time_picture
from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.faas_process import remains
from tests.function_scenarios import two_ways
from tests.machine import dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

SHORT = "def main(args):\n    return {}\n"
INTERVAL_S, WINDOW_S, DEGRADED_MS = 1, 2, 100


def _run(folder: Path, policy: str) -> tuple[RunData, pd.DataFrame, float]:
    """Return a run under a policy, where users were sent, and when the link degraded."""
    scenario = two_ways(folder, SHORT, policy)
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(folder / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert remains() == []
    run = load(next((folder / "results" / "functions").iterdir()))
    assert [check.detail for check in checks(run) if not check.ok] == []
    sent = run.placements[run.placements["outcome"] == "redirected"].astype({"cluster": object})
    (fault,) = run.faults.itertuples()
    assert (fault.fault, fault.event) == ("link_degraded", "begin")
    before = sent[sent["time_s"] < fault.time_s]
    assert len(before) > 5 and set(before["cluster"]) == {"cluster@north"}
    assert (run.run_dir / time_picture.NAME).stat().st_size > 5000
    page = (run.run_dir / "report.html").read_text(encoding="utf-8")
    assert "Where invocations were answered" in page and "Dashed: faults" in page
    return run, sent, float(fault.time_s)


def test_with_alto_the_function_moves_within_two_update_intervals(tmp_path: Path) -> None:
    run, sent, degraded_s = _run(tmp_path, "alto")
    moved = run.deliveries[run.deliveries["began_s"] > degraded_s]
    assert moved["cluster"].tolist() == ["cluster@west"]
    last_s = sent.loc[sent["cluster"] == "cluster@north", "time_s"].max()
    took_s = float((moved["ended_s"] - moved["began_s"]).iloc[0])
    assert last_s - degraded_s < WINDOW_S + 2 * INTERVAL_S + took_s
    assert run.faults["time_to_steer_away_s"].iloc[0] == pytest.approx(max(0.0, last_s - degraded_s), abs=1e-3)
    later = time_picture.ends(run).query(f"due_s > {last_s}")
    assert len(later) > 5 and set(later["where"]) == {"cluster@west"}
    assert later["response_ms"].median() < 2 * DEGRADED_MS, "two round trips over the link would take as long"


def test_with_nearest_it_stays_and_users_wait_for_the_link(tmp_path: Path) -> None:
    run, sent, degraded_s = _run(tmp_path, "nearest")
    assert set(sent["cluster"]) == {"cluster@north"}
    assert run.deliveries["cluster"].tolist() == ["cluster@north"]
    later = time_picture.ends(run).query(f"due_s > {degraded_s}")
    assert len(later) > 20 and set(later["where"]) == {"cluster@north"}
    assert later["response_ms"].min() > 4 * DEGRADED_MS, "two round trips, to connect and to ask"
