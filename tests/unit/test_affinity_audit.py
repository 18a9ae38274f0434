"""The audit of affinity finds what it is there to find, and counts survive the death of who counts."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.benchmarks.counting.flow_ledger import TCP, UDP, FlowLedger, Sighting
from tests.affinity_audit import Visit, moves, violations, visits
from tests.machine import CHECKOUT

FLOW = (UDP, 4000)


def visit(instance: str, life: int, first_ns: int, last_ns: int) -> Visit:
    return Visit((instance, life), 2, first_ns, last_ns)


def test_a_flow_that_stays_has_not_moved() -> None:
    assert moves({FLOW: [visit("a", 1, 10, 90)]}) == []
    assert moves({FLOW: [visit("a", 1, 10, 40), visit("a", 2, 50, 90)]}) == []


@pytest.mark.parametrize(
    ("died_ns", "is_violation"),
    [
        ({}, True),
        ({("a", 1): 50}, False),
        ({("a", 1): 60}, False),
        ({("a", 1): 61}, True),  # it was seen elsewhere before
        ({("a", 2): 50}, True),  # that was another life
        ({("b", 1): 50}, True),
    ],
)
def test_a_move_is_explained_by_the_death_of_the_instance_that_was_left(
    died_ns: dict[tuple[str, int], int], is_violation: bool
) -> None:
    found = moves({FLOW: [visit("a", 1, 10, 40), visit("b", 1, 60, 90)]})
    assert [move.flow for move in found] == [FLOW]
    assert violations(found, died_ns) == (found if is_violation else [])


def test_a_flow_that_is_seen_at_two_by_turns_is_a_violation_whoever_dies_later() -> None:
    found = moves({FLOW: [visit("a", 1, 10, 100), visit("b", 1, 60, 90)]})
    assert violations(found, {("a", 1): 100, ("b", 1): 100}) == found


def test_ledgers_tell_who_saw_what(tmp_path: Path) -> None:
    ledgers = [("a", 1, FlowLedger(tmp_path / "a")), ("b", 1, FlowLedger(tmp_path / "b"))]
    ledgers[1][2].count(UDP, 65535, 7)
    ledgers[0][2].count(UDP, 65535, 5)
    ledgers[0][2].count(UDP, 65535, 6)
    ledgers[0][2].count(TCP, 1, 9)
    assert visits(ledgers) == {
        (UDP, 65535): [Visit(("a", 1), 2, 5, 6), Visit(("b", 1), 1, 7, 7)],
        (TCP, 1): [Visit(("a", 1), 1, 9, 9)],
    }
    assert [ledger.total() for _, _, ledger in ledgers] == [3, 1]


def test_counts_outlive_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    program = (
        "import os, pathlib, signal, testbed.benchmarks.counting.flow_ledger as f\n"
        f"ledger = f.FlowLedger(pathlib.Path({str(path)!r}))\n"
        "ledger.count(f.UDP, 4000, 5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(FlowLedger(path).sightings()) == [Sighting(UDP, 4000, 1, 5, 5)]
