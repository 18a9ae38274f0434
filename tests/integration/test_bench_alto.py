"""`dyncast bench alto` through the command line: all rows come, and what no machine's speed decides is as it should."""

from __future__ import annotations

import json

from tests.machine import dyncast


def test_every_row_is_measured_and_a_patch_is_small() -> None:
    done = dyncast("bench", "alto", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert list(rows) == [
        "the whole cost map of 1,000 PIDs",
        "memory of a server of 1,000 PIDs",
        "one changed cost, until a client has it",
        "one changed cost, of the map's octets",
        "the whole map after a change",
        "costs to 100 endpoints, requests on a core",
    ]
    assert all(row["value"] > 0 for row in rows.values())
    assert rows["the whole cost map of 1,000 PIDs"]["ratio"] > 0
    assert rows["one changed cost, of the map's octets"]["goal_is_met"]
    assert rows["memory of a server of 1,000 PIDs"]["value"] < 400
