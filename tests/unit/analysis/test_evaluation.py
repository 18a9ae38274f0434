"""Decisions of small runs written by hand, whose regret can be worked out on paper."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from testbed.analysis.dyncast.decisions.decisions import decided
from testbed.analysis.dyncast.decisions.evaluation import Evaluation, evaluate
from testbed.analysis.dyncast.decisions.sessions import Sessions, sessions_by_instance
from testbed.analysis.dyncast.report import regret_plot
from testbed.analysis.flows.attribution import seen_flows, served_flows
from testbed.analysis.flows.consistency import classified
from testbed.analysis.measures.summary import summarise
from testbed.analysis.measures.terminal_tables import print_summary
from testbed.analysis.plots.style import NothingToDrawError
from testbed.analysis.run_data.loading import RunData, RunDataError, load
from tests.analysis_data import Row, write_run, write_tables

NEAR, FAR = "web@x", "web@y"
D_BIDS = {NEAR: "10.1.0.9", FAR: "10.2.0.9"}
RTT_MS = 20.0
WORK_MS = 100.0
MANIFEST = {
    "policy": "closest",
    "start_s": 100.0,
    "duration_s": 10.0,
    "fidelity": {"verdict": "valid", "reasons": []},
    "instances": [
        {"name": NEAR, "service": "web", "site": "x", "d_bid": D_BIDS[NEAR], "workers": 1, "queue_limit": 1},
        {"name": FAR, "service": "web", "site": "y", "d_bid": D_BIDS[FAR], "workers": 2, "queue_limit": 4},
    ],
    "round_trip_ms": {"x": {"x": 0.0, "y": RTT_MS}},
    "services": {"web": {"flow_fields": ["src", "dst", "proto", "src_port", "dst_port"], "affinity_timeout_s": 30}},
}


class Requests:
    """Requests of site x, each written as its client, its instance and its ingress saw it."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {"flows": [], "affinity": [], "decisions": [], "faults": []}

    def add(self, at_s: float, instance: str, done_s: float | None, outcome: str = "ok", **of_flow: object) -> None:
        """`done_s`: when the instance was done with it; None: it refused, or never had it."""
        number = len(self.tables["flows"])
        way_s = 0.0 if instance == NEAR else RTT_MS / 2e3
        key = {"service": "web", "proto": "tcp", "src": "10.1.0.2", "src_port": number, "dst_port": 80}
        self.tables["flows"].append(
            {
                **key,
                "flow_id": f"f{number}",
                "kind": "http",
                "client": "client",
                "ingress": "x",
                "instance": instance,
                "site": instance[-1:],
                "due_s": at_s,
                "started_s": at_s,
                "connected_s": at_s + 2 * way_s,
                "finished_s": (at_s + 3 * way_s if done_s is None else done_s) + way_s,
                "completion_ms": ((done_s or at_s) + way_s - at_s) * 1e3,
                "work_ms": WORK_MS,
                "outcome": outcome,
                **of_flow,
            }
        )
        times = {"first_s": at_s + 3 * way_s, "last_s": at_s + 3 * way_s}
        self.tables["affinity"].append({**key, "instance": instance, **times})
        decision = {"time_s": at_s, "d_router": "x", "policy": "closest", "d_bid": D_BIDS[instance], "candidates": "[]"}
        self.tables["decisions"].append({**key, **decision})

    def load(self, tmp_path: Path, **manifest: object) -> RunData:
        return load(write_tables(tmp_path / "run", self.tables, {**MANIFEST, **manifest}))


def regrets_ms(evaluated: Evaluation) -> list[float]:
    return [round(float(value), 6) for value in evaluated.decisions["regret_ms"]]


def crowd() -> Requests:
    requests = Requests()
    requests.add(100.0, NEAR, 100.2)
    requests.add(100.05, NEAR, 100.3)
    requests.add(100.06, NEAR, None, "refused")
    requests.add(100.5, NEAR, 100.6)
    return requests


def test_regret_of_a_queue_on_paper(tmp_path: Path) -> None:
    evaluated = evaluate(crowd().load(tmp_path))
    assert evaluated.decisions["best"].tolist() == [NEAR, FAR, FAR, NEAR]
    # Alone: 100 ms. Behind one: 100 ms of wait; at y nobody, and two round trips. Behind two: a full room besides.
    assert evaluated.decisions["expected_ms"].tolist() == pytest.approx([100, 200, 5200, 100])
    assert evaluated.decisions["best_expected_ms"].tolist() == pytest.approx([100, 140, 140, 100])
    assert regrets_ms(evaluated) == [0, 60, 5060, 0]
    (row,) = evaluated.regret.to_dict("records")
    assert (row["service"], row["decisions"], row["best_percent"]) == ("web", 4, 50)
    assert row["regret_mean_ms"] == pytest.approx((60 + 5060) / 4)
    assert row["regret_p50_ms"] == pytest.approx(30)


def test_a_flow_under_way_counts_as_there(tmp_path: Path) -> None:
    requests = Requests()
    requests.add(100.0, FAR, 100.130)
    requests.add(100.001, FAR, 100.131)
    requests.add(100.002, FAR, 100.230)
    evaluated = evaluate(requests.load(tmp_path))
    assert evaluated.decisions["expected_ms"].tolist() == pytest.approx([140, 140, 190])
    assert regrets_ms(evaluated) == [40, 40, 90]


def test_flows_are_decisions_where_the_switch_binds(tmp_path: Path) -> None:
    one_by_one, by_weights = crowd(), crowd()
    by_weights.tables["decisions"] = []
    evaluated = [evaluate(requests.load(tmp_path / name)) for name, requests in (("a", one_by_one), ("b", by_weights))]
    assert evaluated[0].decisions.to_dict("list") == evaluated[1].decisions.to_dict("list")


def test_so_they_are_where_names_are_looked_up(tmp_path: Path) -> None:
    requests = crowd()
    answer = {"service": "web", "policy": "dns_ttl", "src": "10.1.0.2", "d_bid": D_BIDS[NEAR]}
    requests.tables["decisions"] = [{"time_s": 99.0, "d_router": "x", **answer}]
    assert regrets_ms(evaluate(requests.load(tmp_path))) == [0, 60, 5060, 0]


def test_a_site_and_an_instance_there_are_one_decision(tmp_path: Path) -> None:
    requests = crowd()
    at_egress = [{**row, "time_s": row["time_s"] + 1e-6, "d_router": "y"} for row in requests.tables["decisions"][1:2]]
    of_site = {"d_bid": "", "egress": "y"}
    requests.tables["decisions"][1] |= of_site
    requests.tables["decisions"] += [{**at_egress[0], "d_bid": D_BIDS[FAR]}]
    requests.tables["flows"][1] |= {"instance": FAR}
    evaluated = evaluate(requests.load(tmp_path))
    assert evaluated.decisions["d_router"].tolist() == ["x"] * 4
    assert evaluated.decisions["chosen"].tolist() == [NEAR, FAR, NEAR, NEAR]


def test_what_is_down_is_no_choice_of_the_oracle_and_costs_its_choosers_a_refusal(tmp_path: Path) -> None:
    requests = Requests()
    for at_s, instance in ((100.0, FAR), (101.5, FAR), (101.6, NEAR), (102.5, FAR)):
        requests.add(at_s, instance, at_s + 0.13)
    fault = {"number": 0, "kind": "instance_crash", "instance": NEAR}
    requests.tables["faults"] = [
        {"number": 0, "time_s": time_s, "fault": "instance_crash", "event": event}
        for time_s, event in ((101.0, "begin"), (102.0, "end"))
    ]
    evaluated = evaluate(requests.load(tmp_path, faults=[fault]))
    assert evaluated.decisions["best"].tolist() == [NEAR, FAR, FAR, NEAR]
    assert regrets_ms(evaluated) == [40, 0, 5000 - 140, 40]


def test_what_a_cut_link_parts_from_one_ingress_is_no_candidate_there(tmp_path: Path) -> None:
    requests = Requests()
    requests.add(100.5, NEAR, 100.6)
    requests.add(101.5, FAR, 101.63)
    fault = {"number": 0, "kind": "link_down", "reach": [["x", FAR]]}
    requests.tables["faults"] = [{"number": 0, "time_s": 101.0, "fault": "link_down", "event": "begin"}]
    evaluated = evaluate(requests.load(tmp_path, faults=[fault]))
    assert evaluated.decisions["expected_ms"].tolist() == pytest.approx([100, 2 * RTT_MS + 5000])
    assert evaluated.decisions["best"].tolist() == [NEAR, NEAR]


def test_an_instance_that_moves_is_open_until_it_drains_and_the_new_one_from_its_start(tmp_path: Path) -> None:
    requests = Requests()
    for at_s in (100.5, 101.5, 102.5, 104.5):
        requests.add(at_s, FAR, at_s + 0.13)
    fault = {"number": 0, "kind": "migrate", "instance": FAR, "to": NEAR}
    steps = ((101.0, "begin"), (102.0, "draining"), (103.0, "stopped"), (103.5, "end"), (104.0, "draining"))
    requests.tables["faults"] = [
        {"number": 0, "time_s": time_s, "fault": "migrate", "event": event} for time_s, event in steps
    ]
    evaluated = evaluate(requests.load(tmp_path, faults=[fault]))
    assert evaluated.decisions["best"].tolist() == [FAR, NEAR, NEAR, FAR]
    assert regrets_ms(evaluated) == [0, 40, 2 * RTT_MS + 5000 - 100, 0]


def test_the_round_trips_are_those_that_the_ingress_had_measured(tmp_path: Path) -> None:
    requests = Requests()
    for at_s, rtt_ms in ((100.0, 30.0), (101.0, 60.0)):
        requests.add(at_s, FAR, at_s + 0.2)
        candidates = [{"site": "y", "rtt_ms": rtt_ms, "port_ms": 5.0}, {"site": "x", "rtt_ms": 0.0}]
        requests.tables["decisions"][-1]["candidates"] = json.dumps(candidates)
    evaluated = evaluate(requests.load(tmp_path))
    assert evaluated.decisions["expected_ms"].tolist() == pytest.approx([170, 230])


def test_without_any_path_there_is_no_judgement(tmp_path: Path) -> None:
    evaluated = evaluate(crowd().load(tmp_path, round_trip_ms={}))
    assert evaluated.decisions["regret_ms"].isna().all()
    assert evaluated.regret.empty


def test_candidates_that_cannot_be_read(tmp_path: Path) -> None:
    requests = crowd()
    requests.tables["decisions"][0]["candidates"] = "[{"
    with pytest.raises(RunDataError, match=r"decisions.csv is corrupt: candidates '\[\{' cannot be read"):
        evaluate(requests.load(tmp_path))


def sessions_of(run: RunData, instance: str) -> Sessions:
    seen = seen_flows(run)
    flows = classified(served_flows(run, seen))
    return sessions_by_instance(run, flows, seen, decided(run, flows))[instance]


def test_a_request_whose_client_gave_up_is_there_until_the_next_is_done(tmp_path: Path) -> None:
    requests = Requests()
    requests.add(100.0, NEAR, 100.9, work_ms="")
    requests.add(100.1, NEAR, 100.2, "timeout", work_ms="")  # the client leaves at 100.2
    requests.add(100.95, NEAR, 101.4, work_ms="")
    requests.add(101.0, FAR, 101.2, work_ms="")
    of_near = sessions_of(requests.load(tmp_path), NEAR)
    assert of_near.present(np.array([99.9, 100.05, 100.15, 100.5, 101.0, 101.5])).tolist() == [0, 1, 2, 2, 2, 0]


def test_stated_work_is_done_whatever_the_client_heard(tmp_path: Path) -> None:
    """One answer is late on a link that was cut, one client gave up; the worker knows nothing of that."""
    requests = Requests()
    requests.add(100.0, NEAR, 104.0, work_ms=300)
    requests.add(100.1, NEAR, 100.2, "timeout", work_ms=200)
    requests.add(100.15, NEAR, None, "refused")
    requests.add(100.6, NEAR, 100.7)
    of_near = sessions_of(requests.load(tmp_path), NEAR)
    assert of_near.left_s == pytest.approx([100.15, 100.3, 100.5, 100.7])


def test_an_instance_that_crashes_begins_anew(tmp_path: Path) -> None:
    requests = Requests()
    requests.add(100.0, NEAR, 100.6, "reset", work_ms=2000)
    requests.add(101.5, NEAR, 101.6)
    requests.tables["faults"] = [{"number": 0, "time_s": 100.5, "fault": "instance_crash", "event": "begin"}]
    fault = {"number": 0, "kind": "instance_crash", "instance": NEAR}
    assert sessions_of(requests.load(tmp_path, faults=[fault]), NEAR).left_s == pytest.approx([100.5, 101.6])


def test_a_flow_that_follows_a_binding_is_load_and_no_decision(tmp_path: Path) -> None:
    requests = crowd()
    by_client = {"web": {"flow_fields": ["src", "dst", "proto"], "affinity_timeout_s": 30}}
    requests.tables["decisions"] = [{**requests.tables["decisions"][0], "src_port": "", "dst_port": ""}]
    evaluated = evaluate(requests.load(tmp_path, services=by_client))
    assert regrets_ms(evaluated) == [0]
    (row,) = evaluated.stability.to_dict("records")
    assert row["dispersion"] == pytest.approx(np.var([4] + [0] * 9) / 0.4)


def test_streams_load_an_instance_by_what_they_keep_busy(tmp_path: Path) -> None:
    requests = Requests()
    for number, at_s in enumerate((100.0, 101.0)):
        requests.add(at_s, NEAR, at_s + 5.0, kind="rtp_audio", proto="udp", work_ms="")
        requests.tables["affinity"][number] |= {"proto": "udp", "last_s": at_s + 5.0}
        requests.tables["decisions"][number] |= {"proto": "udp"}
    requests.tables["instances"] = [
        {"time_s": 103.0, "instance": NEAR, "service": "web", "workers": 1, "utilisation": 0.1, "queue_length": 0,
         "sessions": 2}
    ]  # fmt: skip
    requests.tables["metrics"] = [
        {"time_s": 100.0, "node": "agent", "event": "sent", "d_bid": d_bid, "service_time_ms": 2.0}
        for d_bid in D_BIDS.values()
    ]
    evaluated = evaluate(requests.load(tmp_path))
    # One worker, 0.05 of it taken by each: at rho = 0.05 and 0.1 the wait is s rho / (1 - rho).
    assert evaluated.decisions["expected_ms"].tolist() == pytest.approx(
        [2 + 0.95 * 2 * 0.05 / 0.95, 2 + 0.05 * 1 * 2 / 1 + 0.95 * 2 * 0.1 / 0.9], rel=0.05
    )
    assert evaluated.decisions["best"].tolist() == [NEAR, NEAR]


def test_state_is_counted_where_it_is_kept(tmp_path: Path) -> None:
    requests = crowd()
    values = evaluate(requests.load(tmp_path)).costs.set_index(["what", "unit"])["value"]
    assert values["switch of x, at most", "flow entries"] == 8
    assert values["control process of x, at most", "bindings"] == 4
    assert values["switch of x, at most", "bytes"] == 4 * values["switch", "bytes/binding"]
    at_dispatcher = requests.load(tmp_path / "d", clients=[{"name": "client", "dispatcher": "d1"}])
    assert ("switch of d1, at most", "flow entries") in evaluate(at_dispatcher).costs.set_index(["what", "unit"]).index


def test_names_bind_nothing(tmp_path: Path) -> None:
    evaluated = evaluate(crowd().load(tmp_path, policies={"web": "dns_ttl"}))
    assert not evaluated.costs["what"].str.contains("switch").any()


def test_bindings_end(tmp_path: Path) -> None:
    requests = Requests()
    for number in range(5):
        requests.add(100.0 + number, NEAR, 100.1 + number)
    services = {"web": {"flow_fields": MANIFEST["services"]["web"]["flow_fields"], "affinity_timeout_s": 1}}  # type: ignore[index]
    costs = evaluate(requests.load(tmp_path, services=services)).costs.set_index(["what", "unit"])["value"]
    assert costs["control process of x, at most", "bindings"] == 3  # each for two timeouts and 0.1 s


def test_signalling_per_decision(tmp_path: Path) -> None:
    requests = crowd()
    requests.tables["control"] = [
        {"time_s": 105.0, "node": "x", "direction": "sent", "peer": "y", "kind": kind, "messages": 10, "bytes": octets}
        for kind, octets in (("report", 800), ("probe", 200), ("probe_reply", 100), ("poll", 50))
    ]
    values = evaluate(requests.load(tmp_path)).costs.set_index(["what", "unit"])["value"]
    assert values["metrics", "bytes/s"] == 80
    assert values["metrics", "messages/s"] == 1
    assert values["metrics", "bytes/decision"] == 200
    assert values["probes", "bytes/s"] == 30
    assert values["mean completion of web", "ms"] == pytest.approx((200 + 250 + 100) / 3)


def test_the_load_reconstructed_is_the_load_sampled(tmp_path: Path) -> None:
    """But for two that overtake each other on their way: the model that writes this run serves as clients began."""
    run = load(write_run(tmp_path / "run", policy="closest", duration_s=20.0, calls=3))
    differs: list[float] = []
    for name, samples in run.instances[run.instances["service"] == "render"].groupby("instance", observed=True):
        found = sessions_of(run, str(name)).present(samples["time_s"].to_numpy())
        differs += list(np.abs(found - samples["sessions"].to_numpy()))
    assert len(differs) > 100
    assert max(differs) <= 1
    assert np.mean(differs) < 0.02


def test_a_run_without_anything(tmp_path: Path) -> None:
    run = load(write_tables(tmp_path / "run", {}, {}))
    evaluated = evaluate(run)
    assert all(frame.empty for frame in (evaluated.decisions, evaluated.regret, evaluated.balance, evaluated.stability))
    assert [*evaluated.decisions] == [
        "time_s", "d_router", "service", "chosen", "best", "expected_ms", "best_expected_ms", "regret_ms",
    ]  # fmt: skip
    with pytest.raises(NothingToDrawError):
        regret_plot.draw(run, tmp_path / "regret.png")


def test_the_table_is_printed(tmp_path: Path) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    print_summary(summarise(crowd().load(tmp_path)), console)
    text = console.export_text()
    assert "Decisions against an oracle" in text
    assert "1,280.0" in text


def test_balance_is_told_second_by_second(tmp_path: Path) -> None:
    evaluated = evaluate(crowd().load(tmp_path))
    assert evaluated.balance["time_s"].tolist() == [100.0 + number for number in range(10)]
    assert evaluated.balance["imbalance"].iloc[0] == pytest.approx(1)  # all of it at one of two
    assert math.isnan(evaluated.balance["imbalance"].iloc[5])
