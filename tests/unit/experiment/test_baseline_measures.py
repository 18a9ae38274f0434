"""Paths at rest, asked of D-Routers that are made up."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from testbed.emulation.inspection.client import InspectionError
from testbed.experiment.systems.dyncast.run.fidelity import idle_paths
from tests.scenarios import small_plan


class Testbed:
    __test__ = False

    def __init__(self, *off_ms: float, busy: str = "") -> None:
        self._off_ms, self._busy = list(off_ms), busy  # by look, the last one for all that follow
        self.looks = 0

    def inspect(self, site: str, section: str) -> list[dict[str, Any]]:
        assert section == "neighbours"
        if site == self._busy:
            raise InspectionError("it does not answer")
        off_ms = self._off_ms[min(self.looks // len(small_plan().sites), len(self._off_ms) - 1)]
        self.looks += 1
        plan = small_plan()
        return [
            {"site": peer, "least_rtt_ms": plan.path_cost_ms(site, peer) + off_ms}
            for peer in plan.sites
            if peer != site
        ]


def test_paths_are_held_against_the_links_on_the_way() -> None:
    there, back = idle_paths(small_plan(), Testbed(7.0).inspect, time.monotonic() + 0.05)
    assert {(there.a, there.b), (back.a, back.b)} == {("east", "middle"), ("middle", "east")}
    assert there.links == back.links[::-1] and len(there.links) > 2
    assert there.configured_ms == pytest.approx(small_plan().path_cost_ms("east", "middle"), abs=0.1)
    assert there.error_ms == pytest.approx(7.0 - 0.5 * len(there.links), abs=0.1)


def test_who_does_not_answer_or_is_asked_too_late_has_measured_nothing() -> None:
    (only,) = idle_paths(small_plan(), Testbed(0.0, busy="east").inspect, time.monotonic() + 0.05)
    assert only.a == "middle"
    assert idle_paths(small_plan(), Testbed(0.0).inspect, -math.inf) == []


def test_paths_that_seem_slow_are_looked_at_until_a_probe_has_found_no_busy_processor() -> None:
    testbed = Testbed(9.0, 4.0, 0.1)
    found = idle_paths(small_plan(), testbed.inspect, math.inf)
    assert [path.error_ms for path in found] == [0.0, 0.0]
    assert testbed.looks == 3 * len(small_plan().sites)


def test_paths_as_configured_are_looked_at_once() -> None:
    testbed = Testbed(0.1)
    idle_paths(small_plan(), testbed.inspect, math.inf)
    assert testbed.looks == len(small_plan().sites)
