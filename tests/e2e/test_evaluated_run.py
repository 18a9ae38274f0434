"""A real run evaluated: the load its records tell of is that which instances sampled, and an oracle regrets little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from testbed.analysis.dyncast.decisions.decisions import decided
from testbed.analysis.dyncast.decisions.evaluation import evaluate
from testbed.analysis.dyncast.decisions.sessions import sessions_by_instance
from testbed.analysis.flows.attribution import seen_flows, served_flows
from testbed.analysis.flows.consistency import classified
from testbed.analysis.run_data.loading import load
from tests.machine import dyncast
from tests.scenarios import small_document

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

_IN_FLIGHT_S = 0.02  # a busy machine may take so long from an event to its note


def test_the_true_load_and_the_regret_of_an_oracle(tmp_path: Path) -> None:
    document = small_document(policy="oracle", duration_s=8)
    document["clients"] = [{"site": "east"}, {"site": "middle"}]
    document["workloads"][0] |= {"clients": ["east", "middle"], "arrivals": {"rate_per_s": 28}, "work": {"mean_ms": 80}}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(document))
    done = dyncast("run", str(path), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Decisions against an oracle" in done.stdout
    (run_dir,) = (tmp_path / "results" / "small").iterdir()
    assert (run_dir / "regret.png").stat().st_size > 10_000

    run = load(run_dir)
    assert run.manifest.round_trip_ms["east"]["east"] == 0
    assert run.manifest.round_trip_ms["east"]["middle"] > 1
    seen = seen_flows(run)
    flows = classified(served_flows(run, seen))
    found = sessions_by_instance(run, flows, seen, decided(run, flows))
    samples = run.instances[run.instances["service"] == "render"]
    agreed = compared = busy = 0
    for name, of_it in samples.groupby("instance", observed=True):
        times_s, told = of_it["time_s"].to_numpy(), of_it["sessions"].to_numpy()
        arrived_s, left_s = found[str(name)].arrived_s, found[str(name)].left_s

        def past(events_s: np.ndarray, shift_s: float, times_s: np.ndarray = times_s) -> np.ndarray:
            return np.searchsorted(events_s, times_s + shift_s, "right")

        least = past(arrived_s, -_IN_FLIGHT_S) - past(left_s, _IN_FLIGHT_S)
        most = past(arrived_s, _IN_FLIGHT_S) - past(left_s, -_IN_FLIGHT_S)
        agreed += int(((least <= told) & (told <= most)).sum())
        compared += len(told)
        busy += int((told > 0).sum())
    assert busy > 15
    assert agreed >= 0.97 * compared

    regret = evaluate(run).regret.set_index("service").loc["render"]
    assert regret["decisions"] > 150
    assert regret["regret_p50_ms"] < 5
    assert regret["regret_mean_ms"] < 40
