"""A run of functions in which much breaks: users are answered elsewhere or fail; none is lost, and nothing is left."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from tests.faas_process import remains
from tests.function_scenarios import two_ways
from tests.machine import dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]

SLOW = "import time\n\ndef main(args):\n    time.sleep(0.1)\n    return {}\n"
BIG_OCTETS, RATE_MBPS = 8_000_000, 20  # some 3.4 s on the way
KILLED, CUT = 0, 1
KILLED_S, BACK_S, WRONG_S, DURATION_S = 6.5, 11.5, 12.5, 15
FAULTS = [
    {"at_s": KILLED_S, "until_s": BACK_S, "kind": "cluster_killed", "site": "north"},
    {"at_s": 2.5, "until_s": 3.1, "kind": "link_down", "link": ["store", "Atlanta"]},  # while `big` is delivered
    {"at_s": 0, "until_s": 4, "kind": "code_corrupt", "function": "other"},
    {"at_s": 4.5, "until_s": 5.5, "kind": "alto_silent"},
    {"at_s": 10.5, "kind": "container_killed", "site": "west"},
    {"at_s": WRONG_S, "kind": "alto_wrong_cost", "between": ["users", "north"], "delay_ms": 300},
    {"at_s": 13.2, "until_s": 13.7, "kind": "alto_stale"},
]
ASKS = {"kind": "invoke", "clients": ["users"], "timeout_s": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "data").mkdir()
    (folder / "data" / "numbers").write_bytes(os.urandom(BIG_OCTETS))
    (folder / "other.py").write_text(SLOW + "# another function\n")
    function = {"code": "echo.py", "memory_mb": 64, "timeout_s": 5}
    changes = {
        "sites": {**{name: {"at": at} for name, at in SITES.items()}},
        "functions": {
            "echo": {**function, "delivered_to": ["north", "west"]},
            "big": {**function, "layers": {"data": "data"}},
            "other": {**function, "code": "other.py"},
        },
        "rate_mbps": RATE_MBPS,
        "alto": {"site": "users", "interval_s": 0.5, "window_s": 1, "lifetime_s": 1},
        "delivery": {"repository": "store", "site": "users", "refresh_s": 0.5, "wait_s": 8, "silent_after_s": 1},
        "workloads": [
            {**ASKS, "name": "asks", "function": "echo", "arrivals": {"rate_per_s": 12}},
            {**ASKS, "name": "bigs", "function": "big", "arrivals": {"process": "constant", "rate_per_s": 4},
             "timeout_s": 12},
            {**ASKS, "name": "others", "function": "other", "arrivals": {"rate_per_s": 1}, "timeout_s": 12},
        ],
        "faults": FAULTS,
        "duration_s": DURATION_S,
    }  # fmt: skip
    scenario = two_ways(folder, SLOW, "alto", **changes)
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(folder / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert remains() == []
    return load(next((folder / "results" / "functions").iterdir()))


SITES = {"users": "Indianapolis", "north": "Chicago", "west": "Denver", "store": "Atlanta"}


def _due(run: RunData, workload: str, from_s: float, until_s: float) -> pd.DataFrame:
    flows = run.flows[run.flows["workload"].astype(object) == workload]
    return flows[flows["due_s"].between(run.start_s + from_s, run.start_s + until_s)]


def test_each_fault_is_done_and_undone_at_its_time(run: RunData) -> None:
    rows = run.faults
    assert set(rows.loc[rows["event"] == "begin", "number"]) == set(range(len(FAULTS)))
    assert set(rows.loc[rows["event"] == "end", "number"]) == {
        number for number, fault in enumerate(FAULTS) if "until_s" in fault
    }
    assert rows.loc[rows["event"] == "restored", "number"].tolist() == [KILLED]
    details = {str(row.fault): row.detail for row in rows.itertuples() if not pd.isna(row.detail)}
    assert set(details) <= {"container_killed"}, details
    assert [check.detail for check in checks(run) if not check.ok] == []
    # What faults do to processes is planned.
    reasons = json.loads((run.run_dir / "manifest.json").read_text())["fidelity"]["reasons"]
    assert [reason for reason in reasons if "cleanly" in reason or "cluster@north stood" in reason] == []


def test_every_invocation_is_accounted_for(run: RunData) -> None:
    flows = run.flows
    assert flows["outcome"].notna().all()
    assert set(flows["outcome"]) <= {"ok", "refused", "reset", "timeout", "error"}
    assert len(flows) > 150
    assert (flows["outcome"] == "ok").mean() > 0.5


def test_users_of_a_killed_cluster_are_answered_elsewhere_and_come_back(run: RunData) -> None:
    assert (_due(run, "asks", 0, KILLED_S)["instance"] == "cluster@north").any()
    hit = _due(run, "asks", KILLED_S - 0.1, BACK_S)
    assert (hit["outcome"] != "ok").any(), "those that were there, or sent there until it was known"
    answered = hit[(hit["outcome"] == "ok") & (hit["due_s"] > run.start_s + KILLED_S + 0.1)]
    assert len(answered) > 5 and set(answered["instance"]) == {"cluster@west"}
    assert run.faults.loc[run.faults["number"] == KILLED, "time_to_steer_away_s"].max() < BACK_S - KILLED_S - 0.2


def test_a_delivery_goes_on_where_it_was_when_its_link_was_cut(run: RunData) -> None:
    cut = run.faults[run.faults["number"] == CUT].set_index("event")["time_s"]
    rows = run.deliveries[(run.deliveries["bytes"] > BIG_OCTETS) & (run.deliveries["outcome"] == "done")]
    (through,) = rows[(rows["began_s"] < cut["begin"]) & (rows["ended_s"] > cut["end"])].to_dict("records")[:1]
    assert through["bytes_held"] + through["bytes_fetched"] == through["bytes"], "no octet twice"
    assert through["ended_s"] - through["began_s"] > 8 * BIG_OCTETS / (RATE_MBPS * 1e6) + 0.6


def test_code_that_does_not_unpack_is_not_run_until_it_is_right(run: RunData) -> None:
    orders = run.orders[(run.orders["function"] == "other") & (run.orders["order"] == "deliver")]
    failed = orders[orders["outcome"] == "failed"]
    assert len(failed) >= 1 and failed["reason"].str.contains("digest").any()
    right_s = run.faults[(run.faults["fault"] == "code_corrupt") & (run.faults["event"] == "end")]["time_s"].iloc[0]
    assert (orders.loc[orders["outcome"] == "done", "ended_s"] > right_s).all()
    others = run.flows[run.flows["workload"] == "others"]
    assert (others.loc[others["outcome"] == "ok", "finished_s"] > right_s).all()


def test_a_wrong_cost_sends_users_to_the_other_cluster(run: RunData) -> None:
    seen_s = run.start_s + WRONG_S + 1.5  # a list that is as old as may be was asked for before
    late = run.placements[run.placements["time_s"] > seen_s]
    late = late[late["function"].astype(object) == "echo"]
    assert len(late) > 3 and set(late["cluster"]) == {"cluster@west"}
