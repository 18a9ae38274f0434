"""What a cluster writes down of a run: the busy share of its containers."""

from __future__ import annotations

import pytest

from testbed.agents.cluster.run_records import BusyShare


def test_the_busy_share_is_that_of_time_and_workers() -> None:
    share = BusyShare(4, 10.0)
    share.note(2, 10.0)
    share.note(4, 11.0)
    assert share.take(12.0) == pytest.approx((2 + 4) / 8)
    assert share.take(13.0) == pytest.approx(1.0), "what was busy stays so until it is said"


def test_no_time_has_no_share() -> None:
    share = BusyShare(1, 5.0)
    share.note(1, 5.0)
    assert share.take(5.0) == 0.0
