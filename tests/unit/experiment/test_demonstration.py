"""Demonstrations of systems: what they run is sound in each case, and a system from elsewhere has one, too."""

from __future__ import annotations

import dataclasses
import sys
import types

import pytest

from testbed import systems
from testbed.experiment.demonstration import Demonstration, UnknownDemo, demonstration, demonstrations
from testbed.experiment.execution import rehearsal
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.file import load
from testbed.experiment.system import policy_of

CASES = [(name, policy) for name, shown in demonstrations().items() for policy in shown.cases]


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_what_it_runs_is_not_refused(name: str, policy: str) -> None:
    shown = demonstration(name)
    scenario = load(shown.scenario, {**shown.cases[policy], **shown.settings()})
    rehearsal.check(make_plan(scenario, shown.scenario), shown.scenario, with_load=True)
    assert policy_of(scenario) == policy
    assert len(shown.cases) > 1


def test_without_a_name_it_is_dyncast_s() -> None:
    assert demonstration(None) is demonstration("dyncast")
    assert list(demonstration(None).cases) == ["closest", "dyncast"]


def test_a_system_from_elsewhere_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    own: Demonstration = dataclasses.replace(demonstration("dyncast"), about="ticks of a clock")
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))
    monkeypatch.setitem(sys.modules, "its.demo", types.SimpleNamespace(DEMO=own))
    systems.register("clock", demo="its.demo")
    assert demonstration("clock") is own
    with pytest.raises(UnknownDemo, match="there is no demo 'watch'; there are: dyncast, alto, clock"):
        demonstration("watch")
