"""Functions that Dyncast steers to: each cluster that holds one is an instance of its D-SID, until it does not."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.faas_process import remains
from tests.function_scenarios import functions_document, written
from tests.machine import dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

D_SID = "203.0.113.20"
SLOW = "import time\n\ndef main(args):\n    time.sleep(0.04)\n    return {'length': len(args.get('payload', ''))}\n"
UNUSED_S, ENDS_S, LASTS_S = 4, 8, 16

# Nothing is anywhere at first; users come for half of the run, so that the function is removed in the other half.
PLACED: dict[str, Any] = {
    "alto": {"site": "west", "interval_s": 0.5, "window_s": 3},
    "delivery": {"repository": "west", "site": "west", "policy": "alto", "unused_s": UNUSED_S},
    "metrics": {"interval_s": 0.5},
    "duration_s": LASTS_S,
    "workloads": [
        {"name": "users", "kind": "invoke", "function": "echo", "clients": ["east"], "payload": {"bytes": 3000},
         "arrivals": {"rate_per_s": 8, "end_s": ENDS_S}, "timeout_s": 10},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    folder = tmp_path_factory.mktemp("steered")
    steering = {"d_sid": D_SID, "kept_s": 2, "announced_after_s": 2}
    keys = functions_document()["functions"]["echo"] | {"delivered_to": [], "steering": steering}
    scenario = written(folder, SLOW, functions={"echo": keys}, **PLACED)
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(folder / "results"))
    assert done.returncode == 0, done.stderr
    assert remains() == []
    return load(next((folder / "results" / "functions").iterdir()))


def test_users_are_redirected_to_a_cluster_until_it_is_announced_and_steered_from_then_on(run: RunData) -> None:
    assert set(run.flows["outcome"]) == {"ok"}
    how = run.flows.set_index("flow_id")["dst"].astype(str)
    by_http, steered = how[how != D_SID], how[how == D_SID]
    assert len(by_http) and len(steered) > len(by_http)
    rows = run.activations.set_index("flow_id")
    assert set(rows.loc[by_http.index, "redirects"]) == {1}
    # Those who keep what the cluster client said ask nobody else.
    kept = rows.loc[steered.index]
    kept = kept[kept["redirects"] == 0]
    assert len(kept) > len(rows) / 4 and set(kept["asked"]) == {D_SID}
    outcomes = run.placements["outcome"].value_counts()
    assert outcomes["steered"] > 0 and outcomes["redirected"] > 0


def test_each_steered_connection_is_a_decision_of_its_ingress(run: RunData) -> None:
    steered = run.flows[run.flows["dst"].astype(str) == D_SID]
    assert set(run.decisions["service"]) == {"echo"} and set(run.decisions["d_router"]) == {"east"}
    assert len(run.decisions) >= len(steered)
    assert steered["instance"].isin(["cluster@middle", "cluster@west"]).all(), "the answer says who served it"
    assert run.manifest.policies["echo"] == "dyncast"
    assert [check.detail for check in checks(run) if not check.ok] == []


def test_a_cluster_is_an_instance_from_its_delivery_until_its_removal(run: RunData) -> None:
    reports = run.metrics[(run.metrics["d_sid"].astype(str) == D_SID) & (run.metrics["event"] == "sent")]
    reports = reports.assign(state=reports["reason"].astype(object).fillna("up"))
    first_s = run.deliveries["ended_s"].min()
    assert (reports["time_s"] >= first_s).all(), "nothing is reported of what is not there"
    removed = run.orders[(run.orders["order"] == "remove") & (run.orders["outcome"] == "done")]
    assert len(removed) >= 1
    for address, of_cluster in reports.groupby("d_bid", observed=True):
        states = of_cluster.sort_values("time_s")["state"].tolist()
        assert states[0] == "up", address
        assert [state for state in states if state != "up"][-2:] == states[-2:] == ["down", "down"]
        assert states.count("down") == 2, "withdrawn, and then reported no more"
    assert (reports.loc[reports["state"] == "up", "workers"] == 2).all()
    assert reports["service_time_ms"].max() > 40, "as runs took"
