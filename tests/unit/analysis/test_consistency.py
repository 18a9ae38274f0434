from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.analysis.flows.attribution import affinity_violations, seen_flows
from testbed.analysis.measures.summary import summarise
from testbed.analysis.run_data.loading import load
from tests.analysis_data import Row, write_tables
from tests.small_run import FLOWS, MANIFEST, SEEN, call, failed, flow, heard, only, saw, summary_of


def test_a_sound_run_passes_every_check(tmp_path: Path) -> None:
    assert failed(summary_of(tmp_path, flows=FLOWS, affinity=SEEN)) == {}


def test_a_flow_key_seen_by_two_instances_is_a_violation(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, flows=FLOWS, affinity=[*SEEN, saw(0, "b@y", first_s=100.3)])
    violation = only(summary.affinity_violations)
    assert (violation["src_port"], violation["instances"]) == (1000, "a@x, b@y")
    assert "1 by more than one instance" in failed(summary)["packets of one flow reach one instance"]


@pytest.mark.parametrize(
    ("lost", "violations"),
    [
        ({"event": "received", "d_bid": "10.2.0.10", "reason": "down", "time_s": 100.2}, 0),
        ({"event": "received", "d_bid": "10.2.0.10", "reason": "draining", "time_s": 100.2}, 1),
        ({"event": "expired", "d_bid": "10.2.0.10", "time_s": 100.2}, 0),
        ({"event": "path_lost", "source": "x", "time_s": 100.2}, 0),
        ({"event": "path_lost", "source": "x", "time_s": 100.4}, 1),  # the flow had moved before
        ({"event": "path_lost", "source": "y", "time_s": 100.2}, 1),
    ],
)
def test_a_flow_that_moves_when_its_instance_is_lost_is_no_violation(
    tmp_path: Path, lost: Row, violations: int
) -> None:
    instances = [{"name": "a@x", "site": "x", "d_bid": "10.2.0.10"}, {"name": "b@y", "site": "y", "d_bid": "10.3.0.10"}]
    tables = {"flows": FLOWS, "affinity": [*SEEN, saw(0, "b@y", first_s=100.3)], "metrics": [{"node": "z", **lost}]}
    summary = summarise(load(write_tables(tmp_path / "run", tables, {**MANIFEST, "instances": instances})))
    assert len(summary.affinity_violations) == violations
    check = next(check for check in summary.checks if check.name == "packets of one flow reach one instance")
    assert check.ok == (violations == 0)
    assert ("1 bound again when their instance was lost" in check.detail) == check.ok


def test_a_port_that_is_used_again_is_another_flow(tmp_path: Path) -> None:
    again = flow(8, "ok", "b@y", src_port=1000, completion_ms=5.0)
    summary = summary_of(tmp_path, flows=[*FLOWS, again], affinity=[*SEEN, saw(8, "b@y", src_port=1000)])
    assert summary.affinity_violations.empty
    assert failed(summary) == {}


def test_rows_of_one_silent_then_speaking_stream_are_one_flow(tmp_path: Path) -> None:
    rows = [saw(0, "a@x"), saw(0, "a@x", first_s=140.0)]
    assert summary_of(tmp_path, flows=FLOWS[:1], affinity=rows).affinity_violations.empty


def test_a_stranger_s_flow_is_held_to_affinity_as_well(tmp_path: Path) -> None:
    stranger = {"src": "10.0.0.99", "src_port": 5}
    summary = summary_of(tmp_path, affinity=[saw(0, "a@x", **stranger), saw(1, "b@y", **stranger)])
    assert len(summary.affinity_violations) == 1


@pytest.mark.parametrize(
    ("ended", "last_s", "again_s", "violations"),
    [
        (1, 100.1, 101.5, 0),  # closed, then the port is used again
        (1, 100.1, 100.0, 0),  # a near instance sees the next SYN before a distant one the last FIN
        ("", 100.0, 101.0, 1),  # no end: the same SYN, sent again to another instance
        ("", 100.1, 101.5, 1),
        (1, 103.0, 101.5, 1),  # seen at two instances at once
        ("", 100.1, 170.0, 0),  # the binding is no more
    ],
)
def test_a_connection_after_the_seen_end_of_another_is_a_flow_of_its_own(
    tmp_path: Path, ended: object, last_s: float, again_s: float, violations: int
) -> None:
    stranger = {"src": "10.0.0.99", "src_port": 5, "service": "web"}
    rows = [
        saw(0, "a@x", **stranger, first_s=99.9, last_s=last_s, ended=ended),
        saw(1, "b@y", **stranger, first_s=again_s, last_s=again_s + 0.1, ended=1),
    ]
    services = {"web": {"d_sid": "203.0.113.10", "kind": "command", "affinity_timeout_s": 60}}
    tables = {"flows": FLOWS, "affinity": [*SEEN, *rows]}
    run = load(write_tables(tmp_path / "run", tables, {**MANIFEST, "services": services}))
    assert len(affinity_violations(run, seen_flows(run))) == violations


@pytest.mark.parametrize(
    ("tables", "name", "figure"),
    [
        ({"flows": [*FLOWS, flow(9, "")]}, "every flow offered has one outcome", "1 without an outcome, such as 'f9'"),
        ({"flows": [*FLOWS, FLOWS[4]]}, "flow ids are unique", "1 under an id already taken, such as 'f4'"),
        (
            {"affinity": SEEN[1:]},
            "every ok TCP flow was seen by the instance it names",
            "1 that no instance saw, such as 'f0'",
        ),
        (
            {"affinity": [saw(0, "b@y"), *SEEN[1:]]},
            "every ok TCP flow was seen by the instance it names",
            "1 seen by another instance than the one named, such as 'f0'",
        ),
        ({"affinity": SEEN[:3]}, "instances saw every TCP flow they answered", "b@y answered 2 and saw 1"),
        (
            {
                "instances": [
                    {
                        "time_s": 109.0,
                        "instance": "a@x",
                        "utilisation": 0,
                        "queue_length": 0,
                        "completed": 1,
                        "refused": 0,
                    }
                ]
            },
            "instances counted every answer that clients got",
            "a@x counts 1 completed, clients 2 ok",
        ),
        (
            {"flows": [*FLOWS, call(9, 5, 6)], "rtp": [heard("f9", "echo", 6, 6, 1.0, 1.0)]},
            "no RTP stream received more than was sent",
            "1 with more packets than were sent, such as 'f9'",
        ),
    ],
)
def test_a_check_fails_with_figure_and_example(
    tmp_path: Path, tables: dict[str, list[Row]], name: str, figure: str
) -> None:
    summary = summary_of(tmp_path, **{"flows": FLOWS, "affinity": SEEN, **tables})
    assert figure in failed(summary)[name]


STREAM = {"src": "10.0.0.9", "src_port": 1009, "ssrc": 77}


def _ends(sent: int, received: int, returned: int, spanned: int, **more: object) -> dict[str, list[Row]]:
    """Return an audio call of twenty seconds whose client and instance say this."""
    offered = {**call(9, sent, returned), "achieved_rate_pps": 50.0, **more}
    lasts = {"first_s": 100.0, "last_s": 120.0, **STREAM}
    up = {**heard("", "up", spanned, received, 1.0, 1.0), **lasts}
    return {"flows": [offered], "rtp": [up, {**heard("f9", "echo", sent, returned, 1.0, 1.0), **lasts}]}


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (_ends(1000, 900, 800, 1000), None),
        (_ends(1000, 1000, 1000, 1000), None),
        (_ends(1000, 1001, 1000, 1000), "of which more arrived than was sent"),
        (_ends(1000, 800, 801, 1000), "of which more came back than arrived"),
        (_ends(1000, 800, 800, 1001), "whose instance expects more than was sent"),
        (_ends(1000, 600, 600, 600), "whose instance overlooked a gap"),
        (_ends(1000, 600, 600, 600, kind="rtp_trace"), None),
    ],
)
def test_both_ends_of_a_stream_are_held_together(tmp_path: Path, ends: dict[str, list[Row]], why: str | None) -> None:
    found = failed(summary_of(tmp_path, **ends))
    expected = None if why is None else f"1 streams with both ends, 1 disagree, such as 'f9', {why}"
    assert found.get("both ends of an RTP stream agree") == expected


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_violations_agree_with_a_plain_reckoning(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Few ports, many flows: whatever rows there are, each belongs to the last flow started on its port."""
    starts = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=8, unique=True))
    rows = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.sampled_from("ab")), max_size=12))
    run = load(
        write_tables(
            tmp_path_factory.mktemp("run") / "r",
            {
                "flows": [
                    {**flow(index, "ok"), "src_port": port, "started_s": float(at)}
                    for index, (port, at) in enumerate(starts)
                ],
                "affinity": [saw(0, name, src_port=port, first_s=at + 0.5) for port, at, name in rows],
            },
            {},
        )
    )
    instances: dict[tuple[int, int], set[str]] = {}
    for port, at, name in rows:
        flow_start = max((start for other, start in starts if other == port and start <= at), default=-1)
        instances.setdefault((port, flow_start), set()).add(name)
    assert len(affinity_violations(run, seen_flows(run))) == sum(len(names) > 1 for names in instances.values())
