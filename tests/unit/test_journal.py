"""What a D-Router writes down of a decision."""

from __future__ import annotations

import json
from typing import Any

from ryu_apps.journal import Journal
from testbed.dyncast.actions import Decided
from testbed.dyncast.metrics import RawMetrics
from testbed.dyncast.selection import Weighed
from tests.dyncast_samples import FAR, HERE, NEAR, candidate, flow


class Writer:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, table: str, row: dict[str, Any]) -> None:
        self.rows.append({"table": table, **row})


def test_a_decision_is_a_row_with_what_was_weighed_as_it_stood() -> None:
    writer = Writer()
    journal = Journal(writer, HERE, {})  # type: ignore[arg-type]
    near, far = candidate(NEAR, RawMetrics(4, sessions=3), rtt_s=0.0012344), candidate(FAR, None)
    for first in (near, near, near._replace(expected_sessions=4.0, unseen=1)):
        weighed = (Weighed(first, 1.0, 12.34567), Weighed(far, 0.0, None))
        journal.decided(Decided(1.0, "render", "dyncast", flow(), NEAR, HERE, 0.5, 70, weighed))
    assert [(row["table"], row["considered"], row["d_bid"]) for row in writer.rows] == [("decisions", 70, NEAR)] * 3
    rows = [json.loads(row["candidates"]) for row in writer.rows]
    assert rows[0] == rows[1]
    assert rows[0][0] == {
        "d_bid": str(NEAR), "site": HERE, "weight": 1.0, "cost": 12.346, "age_s": 0.0, "rtt_ms": 1.234,
        "sessions": 3, "expected": 3.0, "unseen": 0,
    }  # fmt: skip
    assert (rows[0][1]["cost"], rows[0][1]["sessions"]) == (None, None)
    assert (rows[2][0]["expected"], rows[2][0]["unseen"]) == (4.0, 1)
