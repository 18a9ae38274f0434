"""What a D-Router writes down of a decision, and of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ryu_apps.dyncast.journal import Journal
from testbed.dyncast.actions import SetWeights
from testbed.dyncast.events import Decided
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.policies.candidate import Weighed
from testbed.records.writer import RecordWriter
from tests.dyncast_samples import D_SID, FAR, HERE, NEAR, candidate, flow


class Writer:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, table: str, row: dict[str, Any]) -> None:
        self.rows.append({"table": table, **row})


def test_a_decision_is_a_row_with_what_was_weighed_as_it_stood() -> None:
    writer = Writer()
    journal = Journal(writer, HERE, {}, BindingTable(10))  # type: ignore[arg-type]
    near, far = candidate(NEAR, RawMetrics(4, sessions=3), rtt_s=0.0012344), candidate(FAR, None)
    for first in (near, near, near._replace(expected_sessions=4.0, unreported=1)):
        weighed = (Weighed(first, 1.0, 12.34567), Weighed(far, 0.0, None))
        journal.decided(Decided(1.0, "render", "dyncast", flow(), NEAR, HERE, 0.5, 70, weighed))
    assert [(row["table"], row["considered"], row["d_bid"]) for row in writer.rows] == [("decisions", 70, NEAR)] * 3
    rows = [json.loads(row["candidates"]) for row in writer.rows]
    assert rows[0] == rows[1]
    assert rows[0][0] == {
        "d_bid": str(NEAR), "site": HERE, "weight": 1.0, "cost": 12.34567, "age_s": 0.0, "rtt_ms": 1.234,
        "sessions": 3, "expected": 3.0, "unseen": 0, "port_ms": 0.0,
    }  # fmt: skip
    assert (rows[0][1]["cost"], rows[0][1]["sessions"]) == (None, None)
    assert (rows[2][0]["expected"], rows[2][0]["unseen"]) == (4.0, 1)


def test_weights_are_rows_of_those_that_have_one_or_have_none_any_more() -> None:
    writer = Writer()
    journal = Journal(writer, HERE, {}, BindingTable(10))  # type: ignore[arg-type]
    members = frozenset(NEAR + number for number in range(1000))
    for now_s, shares in ((1.0, {NEAR: 64}), (2.0, {NEAR: 32, FAR: 32}), (3.0, {FAR: 64}), (4.0, {})):
        journal.set_weights(SetWeights(D_SID, shares, members), "render", now_s)
    weights = [(row["time_s"], row["d_bid"], row["weight"]) for row in writer.rows]
    assert weights == [
        (1.0, NEAR, 64), (2.0, NEAR, 32), (2.0, FAR, 32), (3.0, NEAR, 0), (3.0, FAR, 64), (4.0, FAR, 0),
    ]  # fmt: skip


def test_counts_are_rows_of_messages_by_peer_and_kind_and_of_what_else_was_counted(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, "control@east") as writer:
        journal = Journal(writer, HERE, {"decisions": 3}, BindingTable(10))
        journal.message("sent", "west", "probe", 21)
        journal.message("sent", "west", "probe", 22)
        journal.flush(1.5)
    (path,) = tmp_path.iterdir()
    assert path.read_text().splitlines() == [
        "time_s,node,direction,peer,kind,messages,bytes",
        f"1.500000,{HERE},sent,west,probe,2,43",
        f"1.500000,{HERE},local,,decisions,3,0",
    ]
