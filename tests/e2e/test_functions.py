"""Functions at clusters of an emulated network, from the scenario to the report: no service of Dyncast takes part."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from testbed.runtime.polling import wait_until
from tests.faas_process import remains
from tests.function_scenarios import functions_document, written
from tests.machine import CHECKOUT, dyncast, start_dyncast, unchanged
from tests.scenarios import EXAMPLES

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

# A function that takes 40 ms, and says which cluster's address it was asked at.
SLOW = "import time\n\ndef main(args):\n    time.sleep(0.04)\n    return {'length': len(args.get('payload', ''))}\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    folder = tmp_path_factory.mktemp("functions")
    scenario = written(folder, SLOW, workloads=[_asks("near"), _asks("far", to="west")])
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(folder / "results"))
    assert done.returncode == 0, done.stderr
    assert remains() == []
    return load(next((folder / "results" / "functions").iterdir()))


def _asks(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "invoke", "function": "echo", "clients": ["east"], "arrivals": {"rate_per_s": 5},
            "payload": {"bytes": 30_000}, **more}  # fmt: skip


def test_every_invocation_has_its_rows_and_tables_agree(run: RunData) -> None:
    assert run.manifest.status == "finished"
    assert len(run.flows) > 20
    assert set(run.flows["kind"]) == {"invoke"}
    assert set(run.activations["flow_id"]) == set(run.flows["flow_id"])
    assert set(run.flows["outcome"]) == {"ok"}
    assert [check.detail for check in checks(run) if not check.ok] == []


def test_users_are_served_by_the_nearest_cluster_or_by_the_one_that_they_ask(run: RunData) -> None:
    served = run.flows.groupby("workload", observed=True)["site"].unique()
    assert {name: [*sites] for name, sites in served.items()} == {"near": ["middle"], "far": ["west"]}


def test_a_response_time_is_the_sum_of_its_parts(run: RunData) -> None:
    rows = run.activations.set_index("flow_id")
    parts = rows[["path_ms", "wait_ms", "start_ms", "init_ms", "run_ms"]].sum(axis=1)
    completion_ms = run.flows.set_index("flow_id")["completion_ms"].reindex(rows.index)
    assert (parts - completion_ms).abs().max() < 0.01
    assert (rows["run_ms"] >= 40).all()
    # Each direction passes the links between the sites once; the connection takes a round trip before.
    round_trip_ms = run.manifest.round_trip_ms["east"]
    for site, of_site in rows.groupby("cluster_site", observed=True):
        assert of_site["path_ms"].min() > 2 * round_trip_ms[str(site)] - 2


def test_first_invocations_start_cold_unless_a_container_waits_for_code(run: RunData) -> None:
    first = run.activations.sort_values("due_s").groupby("cluster_site", observed=True).first()
    assert first.loc["middle", "start"] == "cold"
    assert first.loc["middle", "start_ms"] > 0
    assert first.loc["west", "start"] == "prewarmed"
    assert (run.activations["start"] == "warm").sum() > len(run.activations) / 2


def test_payloads_cross_the_links(run: RunData) -> None:
    assert (run.flows["bytes_sent"] > 40_000).all(), "30,000 octets in base64"


def test_the_report_shows_of_what_response_times_consist(run: RunData) -> None:
    page = (run.run_dir / "report.html").read_text(encoding="utf-8")
    assert "Invocations of functions" in page
    assert "Parts of the response time" in page
    assert (run.run_dir / "response_parts.png").stat().st_size > 5000


def test_a_run_that_is_killed_leaves_no_container_behind_after_clean(tmp_path: Path) -> None:
    scenario = written(tmp_path, SLOW)
    out = tmp_path / "results"
    with unchanged():
        running = start_dyncast("run", str(scenario), "--out", str(out), "--set", "duration_s=60")
        wait_until(lambda: _warm(out), 90, "functions that ran")
        looked = dyncast("inspect", "--json", "clusters", "containers")
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        assert dyncast("clean").returncode == 0
        assert remains() == []
    documents = {document["cluster"]: document for document in json.loads(looked.stdout) if "cluster" in document}
    assert set(documents) == {"cluster@middle", "cluster@west"}
    assert documents["cluster@middle"]["clusters"][0]["functions"] == ["echo"]
    # One that was just started holds none yet.
    assert {row["function"] for row in documents["cluster@middle"]["containers"]} - {None} == {"echo"}


def _warm(out: Path) -> bool:
    parts = out.glob("functions/*/work/activations.*.part.csv")
    return any(",warm," in path.read_text(encoding="utf-8") for path in parts)


# A function that says how much its layer holds.
READS = "import os\n\ndef main(args):\n    return {'octets': os.path.getsize('/layers/data/numbers')}\n"
OCTETS, RATE_MBPS = 1_500_000, 20


def test_functions_are_delivered_over_the_links_before_the_load(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers").write_bytes(os.urandom(OCTETS))
    keys = functions_document()["functions"]["echo"] | {"layers": {"data": "data"}}
    scenario = written(
        tmp_path, READS, functions={"echo": keys}, delivery={"repository": "east"}, rate_mbps=RATE_MBPS,
        workloads=[_asks("near"), _asks("far", to="west")],
    )  # fmt: skip
    results = tmp_path / "its results"
    with unchanged():  # by a relative path, as the default is
        done = dyncast("run", str(scenario), "--out", os.path.relpath(results, CHECKOUT))
    assert done.returncode == 0, done.stderr
    assert remains() == []
    run = load(next((results / "functions").iterdir()))
    assert set(run.flows["outcome"]) == {"ok"}, "each found its layer"
    rows = run.deliveries.set_index("cluster_site")
    assert set(rows.index) == {"middle", "west"}
    assert set(rows["outcome"]) == {"done"}
    assert (rows["bytes_fetched"] == rows["bytes"]).all() and (rows["bytes"] > OCTETS).all()
    assert (rows["ended_s"] < run.start_s).all(), "before the load"
    assert (rows["ended_s"] - rows["began_s"] > 8 * OCTETS / (RATE_MBPS * 1e6)).all(), "no faster than the links"
    carried = run.manifest.link_counters["east - New York"]["a_to_b"]["bytes"]
    assert carried > 2 * OCTETS, "to both clusters"
    assert "Deliveries of functions" in (run.run_dir / "report.html").read_text(encoding="utf-8")


# Functions are delivered when the first user asks, and users are sent to where ALTO says.
PLACED = {
    "alto": {"site": "west", "interval_s": 0.5, "window_s": 3},
    "delivery": {"repository": "west", "site": "west", "policy": "alto"},
    "duration_s": 10,
}


def test_functions_go_where_alto_says_and_users_are_redirected_there(tmp_path: Path) -> None:
    keys = functions_document()["functions"]["echo"] | {"delivered_to": []}
    scenario = written(tmp_path, SLOW, functions={"echo": keys}, workloads=[_asks("users")], **PLACED)
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(tmp_path / "results"))
    assert done.returncode == 0, done.stderr
    assert remains() == []
    run = load(next((tmp_path / "results" / "functions").iterdir()))
    assert run.policy == "alto"
    # Step 1: routers and clusters report to the server, and its client follows it.
    reports = run.alto[run.alto["kind"] == "report"]
    assert {"east", "middle", "west", "cluster@middle", "cluster@west"} <= set(reports["peer"])
    # Steps 2 and 3: the cluster client asks for lists; step 4: the function is delivered, once users want it.
    assert (run.alto["kind"] == "list").any()
    assert (run.deliveries["outcome"] == "done").all() and len(run.deliveries) >= 1
    assert (run.deliveries["began_s"] > run.start_s).all()
    # Users are redirected to the nearer cluster, without sending what they carry twice.
    served = run.activations.dropna(subset="start")
    assert len(served) > 0.8 * len(run.flows)
    assert (served["asked"] == "cluster-client@west").all() and (served["redirects"] == 1).all()
    assert served["cluster_site"].mode()[0] == "middle"
    assert (run.flows["bytes_sent"] < 60_000).all(), "30,000 octets in base64, once"
    assert [check.detail for check in checks(run) if not check.ok] == []


def test_the_example_runs(tmp_path: Path) -> None:
    done = dyncast("run", str(EXAMPLES / "first-function.yaml"), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = load(next((tmp_path / "first-function").iterdir()))
    assert set(found.activations["cluster_site"]) == {"east", "west"}
    assert found.activations["response_ms"].notna().all()
