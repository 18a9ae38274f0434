"""A migration step by step, with hands that say what each D-Router and instance would."""

from __future__ import annotations

import pytest

from testbed.experiment.faults.steps import Schedule
from testbed.experiment.systems.dyncast.faults.migration import Happened, Migration
from testbed.experiment.systems.dyncast.faults.operations import Activity
from testbed.experiment.systems.dyncast.faults.performer import migration
from tests.scenarios import small_plan

OLD, NEW = "render-1@east", "render-1@middle"


class _Hands:
    """A run in which `running` run, `lacking` does not know the new one, and the old one is as active as it says."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.running = {OLD}
        self.lacking = "west"
        self.active: Activity | None = Activity(2, 10)

    def is_running(self, process: str) -> bool:
        return process in self.running

    def start_instance(self, name: str) -> str:
        self.running.add(name)
        self.done.append(("start", name))
        return ""

    def set_state(self, instance: str, state: str) -> str:
        self.done.append((state, instance))
        return ""

    def stop(self, process: str) -> str:
        self.running.discard(process)
        self.done.append(("stop", process))
        return ""

    def router_without(self, instance: str) -> str:
        assert instance == NEW
        return self.lacking

    def activity(self, instance: str) -> Activity | None:
        assert instance == OLD
        return self.active


def _begun(quiet_s: float = 3.0) -> tuple[Migration, _Hands]:
    hands, moving = _Hands(), Migration(OLD, NEW, quiet_s)
    assert moving.begin(hands) == ""  # type: ignore[arg-type]
    return moving, hands


def _go_on(moving: Migration, hands: _Hands, *times_s: float) -> list[Happened]:
    return [happened for now_s in times_s if (happened := moving.step(now_s, hands)) is not None]  # type: ignore[arg-type]


def test_the_old_one_keeps_taking_flows_until_every_d_router_knows_the_new_one() -> None:
    moving, hands = _begun()
    assert _go_on(moving, hands, 0.0, 1.0, 2.0) == []
    assert hands.done == [("start", NEW)]
    assert moving.unfinished() == Happened("unfinished", f"west does not know {NEW} yet")
    hands.lacking = ""
    assert _go_on(moving, hands, 3.0) == [Happened("draining", "")]
    assert hands.done == [("start", NEW), ("draining", OLD)]


def test_it_stops_when_nothing_was_under_way_for_the_quiet_time_and_not_before() -> None:
    moving, hands = _begun(quiet_s=3.0)
    hands.lacking = ""
    _go_on(moving, hands, 0.0)
    assert _go_on(moving, hands, *range(1, 20)) == []  # two sessions go on
    hands.active = Activity(0, 10)
    assert _go_on(moving, hands, 20.0, 22.5) == []
    hands.active = Activity(0, 11)  # one came, and was over between two looks
    assert _go_on(moving, hands, 22.9, 23.5, 26.4) == []
    assert moving.unfinished() == Happened("unfinished", f"{OLD} has not been quiet for 3 s")
    assert _go_on(moving, hands, 26.6) == [Happened("stopped", "")]
    assert hands.done[-1] == ("stop", OLD)
    assert moving.is_done
    assert moving.unfinished() is None
    assert _go_on(moving, hands, 30.0) == []


def test_an_old_one_that_died_meanwhile_keeps_nobody_waiting() -> None:
    moving, hands = _begun()
    hands.lacking = ""
    _go_on(moving, hands, 0.0)
    hands.running.discard(OLD)
    assert _go_on(moving, hands, 1.0) == [Happened("stopped", "")]


def test_an_old_one_that_is_too_busy_to_answer_is_not_stopped() -> None:
    moving, hands = _begun(quiet_s=0.0)
    hands.lacking, hands.active = "", None
    assert _go_on(moving, hands, 0.0) == [Happened("draining", "")]
    assert _go_on(moving, hands, 1.0, 2.0, 3.0) == []
    assert moving.unfinished() == Happened("unfinished", f"{OLD} does not answer")


def test_one_that_still_drains_takes_flows_again() -> None:
    hands = _Hands()
    hands.running = {OLD, NEW}
    Migration(OLD, NEW, 1.0).begin(hands)  # type: ignore[arg-type]
    assert hands.done == [("up", NEW)]


def test_looks_are_some_time_apart() -> None:
    moving, hands = _begun(quiet_s=0.0)
    hands.lacking, hands.active = "", Activity(0, 0)
    assert _go_on(moving, hands, 0.0, 0.05, 0.1) == [Happened("draining", "")]
    assert _go_on(moving, hands, 0.3, 0.4, 0.6) == [Happened("stopped", "")]


def test_a_scenario_s_migration_waits_until_no_d_router_has_a_flow_bound_there() -> None:
    fault = {"at_s": 1, "until_s": 3, "kind": "migrate", "instance": OLD, "to": NEW}
    (planned,) = small_plan(faults=[fault]).faults
    assert planned.quiet_s == pytest.approx(2 * 30 + 1 + 1)  # the affinity timeout there and back, a look, a poll
    (chosen,) = small_plan(faults=[fault | {"quiet_s": 2}]).faults
    assert chosen.quiet_s == 2
    there, back = Schedule([planned]).due(9.0)
    assert (vars(migration(there))["_old"], vars(migration(there))["_new"]) == (OLD, NEW)
    assert (vars(migration(back))["_old"], vars(migration(back))["_new"]) == (NEW, OLD)
