"""The schema of a scenario is put together from what systems add: keys, rules, kinds of workload and of fault."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from testbed import systems
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.fault_keys import FaultKeys, FaultKind
from testbed.experiment.scenario.file import ScenarioError, dump, parse
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.system import System
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from tests.scenarios import small_document


class BellScenario(Scenario):
    bells: int = 0
    """How many bells."""


class RingKeys(WorkloadKeys):
    """Ringing."""

    kind: Literal["ring"]
    """That of the system."""
    strokes: int = 1
    """How many strokes."""


class BellFaultKeys(FaultKeys):
    bell: int | None = None
    """Which bell."""


def _few(scenario: Scenario) -> None:
    if BellScenario.of(scenario).bells > 8:
        raise ValueError("bells: there are at most 8")


class Bells(System):
    name = "bells"
    keys = BellScenario
    work = ("bells",)
    workloads: ClassVar = {"ring": RingKeys}
    faults = BellFaultKeys
    fault_kinds: ClassVar = {"bell_cracked": FaultKind("a bell cracks", frozenset({"bell"}))}
    rules = (_few,)


@pytest.fixture(autouse=True)
def _bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))
    monkeypatch.setitem(sys.modules, "its.bells", types.SimpleNamespace(SYSTEM=Bells()))
    systems.register("bells", experiment="its.bells")


def _bare(**keys: Any) -> dict[str, Any]:
    document = small_document()
    return {key: document[key] for key in ("name", "topology", "sites", "clients", "duration_s")} | keys


def test_a_scenario_has_the_keys_of_all_systems() -> None:
    scenario = parse(small_document(bells=3), "bells.yaml")
    assert BellScenario.of(scenario).bells == 3
    assert set(DyncastScenario.of(scenario).services) == {"render", "conference"}
    assert "bells: 3" in dump(scenario)


def test_a_scenario_without_services_is_good_if_another_system_has_work() -> None:
    plan = make_plan(parse(_bare(bells=1), "bells.yaml"), Path("bells.yaml"))
    assert plan.sites == ("east", "middle")


def test_a_scenario_in_which_no_system_has_work_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"bells.yaml: services: .* needs services or functions or bells"):
        parse(_bare(), "bells.yaml")


def test_rules_of_all_systems_are_applied() -> None:
    with pytest.raises(ScenarioError, match=r"bells.yaml: bells: there are at most 8"):
        parse(_bare(bells=9), "bells.yaml")


def test_a_workload_is_of_the_kind_that_it_names() -> None:
    ring = {"kind": "ring", "name": "noon", "clients": ["east"], "arrivals": {"rate_per_s": 1}, "strokes": 12}
    workloads = [*small_document()["workloads"], ring]
    kinds = [type(item) for item in parse(small_document(workloads=workloads), "bells.yaml").workloads]
    assert kinds == [FlowKeys, FlowKeys, RingKeys]


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        ({"kind": "rung"}, ["workloads[0]: kind must be one of flows, invoke, ring"]),
        ({"kind": "ring", "strks": 1}, ["workloads[0].strks: unknown key", "strokes"]),
    ],
)
def test_errors_of_workloads_name_the_key(workload: dict[str, Any], words: list[str]) -> None:
    document = _bare(bells=1, workloads=[{"name": "a", "clients": ["east"], "arrivals": {"rate_per_s": 1}, **workload}])
    with pytest.raises(ScenarioError) as caught:
        parse(document, "bells.yaml")
    for word in words:
        assert word in str(caught.value)


def test_faults_have_the_kinds_and_keys_of_all_systems() -> None:
    faults = [
        {"kind": "bell_cracked", "at_s": 1, "bell": 2},
        {"kind": "instance_crash", "at_s": 1, "instance": "render-1@east"},
        {"kind": "link_down", "at_s": 1, "link": ["east", "New York"]},
    ]
    scenario = parse(small_document(faults=faults), "bells.yaml")
    assert [BellFaultKeys.of(fault).bell for fault in scenario.faults] == [2, None, None]
    with pytest.raises(ScenarioError, match="bell_cracked takes bell; it has: nothing"):
        parse(small_document(faults=[{"kind": "bell_cracked", "at_s": 1}]), "bells.yaml")
