"""How often the switch is asked what it gave to whom: the more entries there are to read, the more seldom."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.datapath_mode import DatapathMode


class Pools:
    """Pools that note when they are asked for counts."""

    is_connected = True

    def __init__(self, members: int) -> None:
        self.members = members
        self.asked = 0

    def ask_for_counts(self) -> None:
        self.asked += 1

    def stamp(self, now_s: float) -> None:
        pass

    def connections_refused(self) -> int:
        return 0


@pytest.mark.parametrize(("members", "asked"), [(2, 40), (250, 40), (500, 20), (1000, 10)])
def test_counts_are_read_four_times_a_second_of_hundreds_more_seldom(members: int, asked: int) -> None:
    settings: Any = SimpleNamespace(
        d_router=SimpleNamespace(services=(), metric_lifetime_s=10.0), ct_zones={}, switch=None
    )
    nobody: Any = None
    mode = DatapathMode(settings, nobody, nobody, logging.getLogger())
    pools: Any = Pools(members)
    mode._pools = pools
    for tick in range(200):
        mode.on_timer(100.0 + tick * 0.05)
    assert abs(pools.asked - asked) <= 1
