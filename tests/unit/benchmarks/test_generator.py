"""What the benchmark of the generators makes of the times it sees."""

from __future__ import annotations

import pytest

from testbed.benchmarks.stage.generator import _pace

_MS = 1_000_000


def test_a_sender_that_keeps_its_times_achieves_all() -> None:
    pace = _pace([1000 * _MS + number * 10 * _MS for number in range(100)], 1000 * _MS, 100, 100)
    assert pace == (pytest.approx(1), 0, 0)


def test_what_is_missing_and_what_is_late_is_not_achieved() -> None:
    half = _pace([number * 10 * _MS for number in range(50)], 0, 100, 100)
    slow = _pace([number * 20 * _MS for number in range(100)], 0, 100, 100)
    assert half.achieved == pytest.approx(0.5)
    assert slow.achieved == pytest.approx(0.5, rel=0.01)
    assert slow.median_ms == pytest.approx(495)
