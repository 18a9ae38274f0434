"""Judging against counting by hand: the same loads, the same costs, the same best."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.analysis.dyncast.decisions.evaluation import evaluate
from testbed.analysis.dyncast.decisions.sessions import Sessions
from testbed.analysis.run_data.loading import load
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.policies import Candidate
from testbed.dyncast.policies.oracle import Oracle
from tests.analysis_data import Row, write_tables
from tests.dyncast_samples import NEAR

_NAMES = ("a", "b", "c")
_RTT_MS = {"a": 0.0, "b": 10.0, "c": 24.0}
_WORKERS = {"a": 1, "b": 2, "c": 4}
_QUEUE_LIMIT, _WORK_MS = 3, 50.0
_DAYS = st.lists(
    st.tuples(
        st.integers(0, 3000),  # started, ms
        st.sampled_from(_NAMES),
        st.integers(0, 300),  # how long the instance had it, ms
        st.sampled_from(["ok", "refused"]),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda request: request[0],
)
_INTERVALS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20), st.integers(0, 20)), max_size=30)


@given(_INTERVALS, st.lists(st.integers(-5, 100), min_size=2, unique=True).map(sorted))
def test_counts_and_means_of_sessions(intervals: list[tuple[int, int, int]], times: list[int]) -> None:
    spans = [(assigned_s, assigned_s + way_s, assigned_s + way_s + stay_s) for assigned_s, way_s, stay_s in intervals]
    columns = np.array(spans, dtype=float).reshape(-1, 3).T
    sessions = Sessions(*(np.sort(column) for column in columns))
    times_s = np.array(times, dtype=float)
    assert sessions.present(times_s).tolist() == [sum(a <= t < left for _, a, left in spans) for t in times]
    before = [sum(assigned_s < t for assigned_s, *_ in spans) - sum(left < t for *_, left in spans) for t in times]
    assert sessions.assigned_before(times_s).tolist() == before
    for (t, then), mean in zip(pairwise(times), sessions.mean_present(times_s), strict=True):
        seconds = sum(max(0, min(left, then) - max(a, t)) for _, a, left in spans)
        assert mean == pytest.approx(seconds / (then - t), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(_DAYS)
def test_regret_is_that_of_looking_at_every_instance(day: list[tuple[int, str, int, str]]) -> None:
    told = {"time_s": 0.0, "node": "agent", "event": "sent", "service_time_ms": _WORK_MS}
    rows: dict[str, list[Row]] = {"flows": [], "affinity": [], "decisions": []}
    rows["metrics"] = [{**told, "d_bid": name} for name in _NAMES]
    spans = []
    for number, (started_ms, name, stay_ms, outcome) in enumerate(day):
        started_s, way_s = started_ms / 1e3, _RTT_MS[name] / 2e3
        arrived_s = started_s + 3 * way_s
        left_s = arrived_s + (stay_ms / 1e3 if outcome == "ok" else 0.0)
        spans.append((name, started_s, left_s))
        key = {"service": "web", "proto": "tcp", "src": "10.0.0.1", "src_port": number, "dst_port": 80}
        times = {"due_s": started_s, "started_s": started_s, "connected_s": started_s + 2 * way_s}
        names = {"flow_id": f"f{number}", "kind": "http", "client": "client", "ingress": "x", "instance": name}
        done = {"finished_s": left_s + way_s, "outcome": outcome}
        rows["flows"].append(key | times | names | done)
        rows["affinity"].append({**key, "instance": name, "first_s": arrived_s, "last_s": arrived_s})
        rows["decisions"].append({**key, "time_s": started_s, "d_router": "x", "policy": "any", "d_bid": name})
    with tempfile.TemporaryDirectory() as folder:
        manifest = {
            "instances": [
                {"name": name, "d_bid": name, "service": "web", "site": name, "workers": _WORKERS[name],
                 "queue_limit": _QUEUE_LIMIT}
                for name in _NAMES
            ],
            "round_trip_ms": {"x": _RTT_MS},
        }  # fmt: skip
        evaluated = evaluate(load(write_tables(Path(folder) / "run", rows, manifest))).decisions

    def expected_ms(name: str, now_s: float) -> float:
        sessions = sum(who == name and assigned_s < now_s and left_s >= now_s for who, assigned_s, left_s in spans)
        metrics = RawMetrics(_WORKERS[name], queue_limit=_QUEUE_LIMIT, service_time_s=_WORK_MS / 1e3)
        return Oracle().cost(Candidate(NEAR, name, 0.0, _RTT_MS[name] / 1e3, metrics, 0.0, sessions))

    assert len(evaluated) == len(day)
    for row in evaluated.itertuples():
        costs_ms = {name: expected_ms(name, row.time_s) for name in _NAMES}
        assert row.expected_ms == pytest.approx(costs_ms[row.chosen])
        assert row.best_expected_ms == pytest.approx(min(costs_ms.values())) == pytest.approx(costs_ms[row.best])
        assert row.regret_ms == pytest.approx(costs_ms[row.chosen] - min(costs_ms.values()), abs=1e-6)
