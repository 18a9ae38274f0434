"""What a cluster says of a function: the busy share since the last time that it was asked."""

from __future__ import annotations

import pytest

from testbed.agents.cluster.function_metrics import BusyTime, path_of


def test_each_that_asks_gets_the_share_since_it_asked_last() -> None:
    busy = BusyTime(10.0)
    busy.note(2, 10.0)
    assert busy.share("a", 4, 11.0) == pytest.approx(0.5)
    busy.note(4, 11.0)
    assert busy.share("b", 4, 12.0) == pytest.approx(6 / 8), "it asks for the first time"
    assert busy.share("a", 4, 12.0) == pytest.approx(1.0)


def test_a_share_is_no_more_than_all_and_no_time_has_none() -> None:
    busy = BusyTime(0.0)
    assert busy.share("a", 1, 0.0) == 0.0
    busy.note(3, 0.0)
    assert busy.share("a", 1, 1.0) == 1.0, "containers of other functions, for which it has no room"


def test_a_name_is_one_part_of_a_path() -> None:
    assert path_of("a/b c") == "/metrics/a%2Fb%20c"
