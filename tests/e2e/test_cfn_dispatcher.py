"""Figure 5 of the CFN draft, run: the Dispatcher keeps the flow binding table, its CFN node selects and keeps none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.attribution import moved_flows, seen_flows
from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import load
from testbed.emulation.wiring import link_label
from testbed.experiment.systems.dyncast.launch.running import RunningDyncast
from tests.e2e.test_draft_figures import Results, address, asked, plan_of, standing
from tests.machine import dyncast

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

_NODE, _DISPATCHER = "CFN-node-1", "CFN-Dispatcher"
_EGRESS = "CFN-node-2"  # cut off
WAYS = pytest.mark.parametrize("tells", ["explicit", pytest.param("implicit", marks=pytest.mark.slow)])


def counted(results: Results, node: str, direction: str = "local") -> dict[str, int]:
    """What a node last wrote of its counters, by kind."""
    rows = [row for row in results.rows("control") if (row["node"], row["direction"]) == (node, direction)]
    return {row["kind"]: int(float(row["messages"])) for row in rows}


def setting(value: object) -> Any:
    """A value of `--set`, which is YAML."""
    return json.dumps(value)


def test_the_dispatcher_has_the_entries_and_the_cfn_node_none(tmp_path: Path) -> None:
    plan = plan_of("cfn-figure-5")
    with standing(plan, tmp_path) as testbed:
        impaired = {link_label(link) for link in plan.topology.links if not link.spec.is_plain}
        assert {link.label for link in testbed.measured_links if link.early_ms == 0 and link.received} == impaired
        for client in ("client-1", "client-2"):
            for d_sid in ("203.0.113.1", "203.0.113.2", "203.0.113.3"):
                asked(testbed, client, f"http://{d_sid}/?work_ms=5")
        shown = dyncast("bindings", "--json")
        assert shown.returncode == 0, shown.stderr
        rows = [row for row in json.loads(shown.stdout) if row["run"] == str(testbed.tag)]
        assert {row["d_router"] for row in rows} == {_DISPATCHER}
        bound = {(row["src"], row["d_sid"], row["egress"]) for row in rows if row["d_sid"] != "203.0.113.2"}
        assert len(rows) == 6 and bound == {
            (address(plan, client), d_sid, egress)
            for client in ("client-1", "client-2")
            for d_sid, egress in (("203.0.113.1", "CFN-node-2"), ("203.0.113.3", "CFN-node-3"))
        }
        assert sum(row["flows_bound"] for row in RunningDyncast.of(testbed).inspect(_NODE, "services")) == 0
        assert sum(row["flows_bound"] for row in RunningDyncast.of(testbed).inspect(_DISPATCHER, "services")) == 6


@WAYS
def test_a_run_binds_every_flow_at_the_dispatcher_and_breaks_no_affinity(tells: str, tmp_path: Path) -> None:
    results = Results(
        "cfn-figure-5", tmp_path, duration_s=4, **{"dispatcher.tells": tells, "metrics.authentication": "hmac"}
    )  # type: ignore[arg-type]
    assert {row["outcome"] for row in results.rows("flows")} == {"ok"}
    assert [check.name for check in checks(load(results.folder)) if not check.ok] == []
    node, home = counted(results, _NODE), counted(results, _DISPATCHER)
    assert home["flows_bound"] == len({(row["src"], row["src_port"], row["d_sid"]) for row in results.rows("flows")})
    assert node["flows_dispatched"] == home["flows_asked"] + home.get("flows_asked_again", 0) >= home["flows_bound"]
    assert not {kind for kind in node if kind.startswith(("bindings_", "packets_before"))}, "it bound flows itself"
    assert "messages_forged" not in home and "messages_unauthenticated" not in home
    # It takes no part in status updates: it says nothing, and hears its CFN node alone.
    assert counted(results, _DISPATCHER, "sent") == {}
    assert {row["peer"] for row in results.rows("control") if row["node"] == _DISPATCHER} <= {"", _NODE}
    assert _DISPATCHER not in {row["d_router"] for row in results.rows("decisions")}


@WAYS
def test_flows_to_an_egress_that_is_cut_off_are_dispatched_anew(tells: str, tmp_path: Path) -> None:
    calls = {"name": "calls", "service": "SID2", "clients": [_NODE], "arrivals": {"rate_per_s": 6, "end_s": 2}}
    lasting = {"call_duration": {"distribution": "constant", "mean_ms": 6000}, "timeout_s": 1}
    results = Results(
        "cfn-figure-5", tmp_path, duration_s=4,
        **{
            "dispatcher.tells": tells,
            "metrics.probe_interval_s": 0.2,
            "services.SID2.kind": "rtp",
            "workloads": setting([{**calls, **lasting}]),
            "faults": setting([{"kind": "egress_unreachable", "site": _EGRESS, "at_s": 2.5}]),
        },
    )  # type: ignore[arg-type]  # fmt: skip
    home = counted(results, _DISPATCHER)
    assert home["flows_cut_off"] > 0
    assert home["flows_redispatched"] == home["flows_cut_off"]
    run = load(results.folder)
    moved = moved_flows(seen_flows(run))
    assert len(moved) <= home["flows_redispatched"]  # each is accounted for
    assert [check for check in checks(run) if not check.ok] == []
    plan = plan_of("cfn-figure-5")
    anew = [row for row in results.rows("decisions") if row["d_bid"] == address(plan, "BID32")]
    assert len(anew) >= home["flows_redispatched"]
    assert not {kind for kind in counted(results, _NODE) if kind.startswith(("bindings_", "flows_broken"))}
