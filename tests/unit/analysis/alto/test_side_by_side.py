"""Runs of function delivery side by side: what users waited for, and where they were answered."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from testbed.analysis.alto import side_by_side, side_by_side_picture
from testbed.analysis.run_data.loading import RunData, load
from testbed.records.writer import RecordWriter
from tests.analysis_data import START_S, write_run

EAST, WEST = "cluster@east", "cluster@west"


def _run(folder: Path, policy: str, redirected: bool = True) -> RunData:
    """A run with five invocations: two waited 2 s and 1 s for a delivery, one was refused, one is of another site."""
    run_dir = write_run(folder / policy, duration_s=5, calls=0, policy=policy)
    with RecordWriter(folder, policy) as records:
        for number, (site, cluster, waited_ms) in enumerate(
            [
                ("east", WEST, 2000.0),
                ("east", WEST, 1000.0),
                ("east", WEST, 0.0),
                ("east", None, 0.0),
                ("west", EAST, 0.0),
            ]
        ):
            due_s = START_S + 0.1 * number
            sent_ms = waited_ms + 30 + 5 * number
            records.write("activations", _activation(number, site, cluster, due_s, sent_ms if redirected else None))
            if redirected:
                decided = {"time_s": due_s + (sent_ms - 20) / 1e3, "node": "cluster-client@east", "function": "render"}
                decided |= {"site": site, "outcome": "redirected", "cluster": cluster or WEST, "waited_ms": waited_ms}
                records.write("placements", decided)
        done = {"digest": "sha256:0", "cluster": WEST, "function": "render", "bytes": 1e6, "bytes_fetched": 1e6}
        done |= {"began_s": START_S, "ended_s": START_S + 2, "outcome": "done"}
        records.write("deliveries", done)
    for table in ("activations", "deliveries", *(["placements"] if redirected else [])):
        (folder / f"{table}.{policy}.part.csv").rename(run_dir / f"{table}.csv")
    return load(run_dir)


def _activation(number: int, site: str, cluster: str | None, due_s: float, sent_ms: float | None) -> dict[str, object]:
    row: dict[str, object] = {"flow_id": f"asks/{number}", "function": "render", "client": "c", "ingress": site}
    row |= {"due_s": due_s, "redirect_ms": sent_ms, "response_ms": (sent_ms or 0.0) + 70, "http_status": 503}
    if cluster is not None:
        parts = {"path_ms": 20.0, "wait_ms": 10.0, "start_ms": 15.0, "init_ms": 5.0, "run_ms": 20.0}
        row |= {**parts, "cluster": cluster, "start": "cold", "http_status": 200}
        row["status"] = "success"
    return row


def test_what_comes_before_a_cluster_is_split_into_the_delivery_and_the_redirection(tmp_path: Path) -> None:
    rows = side_by_side.invocations(_run(tmp_path, "alto"))
    assert rows["delivery_ms"].tolist() == [2000, 1000, 0, 0, 0]
    assert rows["redirect_ms"].tolist() == pytest.approx([30, 35, 40, 45, 50])
    assert rows["cluster"].tolist() == [WEST, WEST, WEST, side_by_side.NOWHERE, EAST]


def test_who_got_an_error_was_not_answered(tmp_path: Path) -> None:
    run = _run(tmp_path, "alto")
    run.activations["status"] = run.activations["status"].astype(object).replace("success", "whisk internal error")
    assert set(side_by_side.invocations(run)["cluster"]) == {side_by_side.NOWHERE}
    assert side_by_side.responses(run)["answered_percent"].tolist() == [0, 0]


def test_parts_of_what_was_answered_add_up_to_its_response_time(tmp_path: Path) -> None:
    table = side_by_side.responses(_run(tmp_path, "alto")).set_index("site")
    assert table.loc["east", ["invocations", "answered_percent"]].tolist() == [4, 75]
    assert table.loc["east", "delivery_ms"] == pytest.approx(1000)
    assert table[list(side_by_side.PARTS)].sum(axis=1).tolist() == pytest.approx(table["response_mean_ms"].tolist())


def test_users_who_ask_clusters_wait_for_no_redirection(tmp_path: Path) -> None:
    table = side_by_side.responses(_run(tmp_path, "nearest", redirected=False))
    assert table[["delivery_ms", "redirect_ms"]].to_numpy().tolist() == [[0, 0], [0, 0]]


def test_places_say_when_a_function_came_and_whom_they_answered(tmp_path: Path) -> None:
    table = side_by_side.places(_run(tmp_path, "alto")).set_index(["cluster", "site"])
    assert table.loc[(WEST, "east"), ["delivered_s", "took_ms", "invocations", "share_percent"]].tolist() == [
        2,
        2000,
        3,
        75,
    ]
    assert table.loc[(side_by_side.NOWHERE, "east"), "share_percent"] == 25
    assert pd.isna(table.loc[(EAST, "west"), "delivered_s"]), "it held the function before"


def test_both_runs_are_in_the_tables_and_in_the_picture(tmp_path: Path) -> None:
    runs = [_run(tmp_path, "nearest", redirected=False), _run(tmp_path, "alto")]
    responses, places = side_by_side.tables(runs)
    assert responses.frame.groupby("policy")["invocations"].sum().to_dict() == {"nearest": 5, "alto": 5}
    assert set(places.frame["cluster"]) == {EAST, WEST, side_by_side.NOWHERE}
    assert side_by_side_picture.draw(runs, tmp_path / "picture.png").stat().st_size > 20_000
