"""Function delivery's faults: which keys they take, what they reach, and what an ALTO server is made to say."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from testbed.agents.alto_server.falsehood import Falsehood, WrongDelay
from testbed.experiment.faults.steps import Schedule
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.alto.faults import performer
from testbed.experiment.systems.alto.faults.performer import FaultPerformer
from testbed.experiment.systems.alto.keys.fault import KINDS, AltoFaultKeys
from testbed.experiment.systems.alto.plan.faults import concerned
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from tests.function_scenarios import functions_plan

PLACED = {"alto": {"site": "west"}, "delivery": {"repository": "east", "site": "west"}}
SERVER = "alto@west"
WRONG = {"kind": "alto_wrong_cost", "between": ["east", "middle"]}


def _plan(*faults: dict[str, Any], **changes: Any) -> AltoPlan:
    return functions_plan(**{**PLACED, "faults": [{"at_s": 1, **fault} for fault in faults], **changes})


@pytest.mark.parametrize(
    ("fault", "changes", "words"),
    [
        ({"kind": "cluster_killed"}, {}, ["faults", "cluster_killed takes site", "it has: nothing"]),
        ({"kind": "cluster_killed", "site": "east"}, {}, ["faults[0].site: there is no cluster at site", "'east'"]),
        ({"kind": "container_killed", "site": "midle"}, {}, ["faults[0].site", "mean 'middle'"]),
        ({"kind": "container_killed", "site": "middle", "until_s": 2}, {}, ["faults[0].until_s", "does not come back"]),
        ({"kind": "alto_silent", "site": "west"}, {}, ["alto_silent takes nothing more", "it has: site"]),
        ({"kind": "alto_stale"}, {"alto": None, "delivery": None}, ["faults[0].kind", "there is none", "alto.site"]),
        ({**WRONG}, {}, ["faults[0]", "either factor or delay_ms"]),
        ({**WRONG, "factor": 2, "delay_ms": 5}, {}, ["faults[0]", "either factor or delay_ms"]),
        ({**WRONG, "factor": 0}, {}, ["faults[0].factor"]),
        ({**WRONG, "between": ["east", "midle"], "factor": 2}, {}, ["faults[0].between", "mean 'middle'"]),
        ({**WRONG, "between": ["east", "east"], "factor": 2}, {}, ["faults[0].between", "'east' twice"]),
        ({"kind": "alto_silent", "factor": 2}, {}, ["takes no factor", "alto_wrong_cost"]),
        ({"kind": "code_corrupt", "function": "ekko"}, {}, ["faults[0].function", "mean 'echo'"]),
        (
            {"kind": "code_corrupt", "function": "echo"},
            {"alto": None, "delivery": None},
            ["faults[0].kind", "repository", "there is none"],
        ),
    ],
)
def test_a_fault_that_cannot_be_is_said_in_one_line(
    fault: dict[str, Any], changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        _plan(fault, **changes)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_cluster_concerns_the_users_of_all_sites_and_its_own_process() -> None:
    plan = _plan({"kind": "cluster_killed", "site": "middle"}, {"kind": "alto_silent"}, {"kind": "alto_stale"})
    killed, silent, stale = plan.faults
    assert (killed.target, killed.instance, killed.reach) == (
        "cluster@middle", "cluster@middle", (("east", "cluster@middle"),)
    )  # fmt: skip
    assert (silent.target, silent.reach, stale.target) == (SERVER, (), SERVER)
    assert [(name, fault.kind) for name, fault in concerned(plan.faults, SERVER)] == [
        ("cluster@middle", "cluster_killed"), (SERVER, "alto_silent")
    ]  # fmt: skip


class _Operations:
    """Note what is done; a process is ready once it is said to be."""

    def __init__(self, remark: str = "") -> None:
        self.done: list[tuple[object, ...]] = []
        self.ready: set[str] = set()
        self._remark = remark

    def is_ready(self, name: str) -> bool:
        return name in self.ready

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.done.append((name, *arguments)) or self._remark


@pytest.mark.parametrize(
    ("fault", "begin", "end"),
    [
        ({"kind": "cluster_killed", "site": "middle"},
         [("kill", "cluster@middle")], [("start_cluster", "cluster@middle")]),
        ({"kind": "alto_silent"}, [("signal", SERVER, signal.SIGSTOP)], [("signal", SERVER, signal.SIGCONT)]),
        ({"kind": "code_corrupt", "function": "echo"}, [("spoil", "echo")], [("spoil", "echo")]),
    ],
)  # fmt: skip
def test_each_kind_is_done_and_undone(fault: dict[str, Any], begin: list[Any], end: list[Any]) -> None:
    operations: Any = _Operations()
    for step in Schedule(_plan({**fault, "until_s": 2}).faults).due(5.0):
        performer.perform(step, operations, SERVER)
    assert operations.done == begin + end


def test_a_container_is_killed_for_good() -> None:
    operations: Any = _Operations("it did not work")
    (step,) = Schedule(_plan({"kind": "container_killed", "site": "west"}).faults).due(5.0)
    assert performer.perform(step, operations, SERVER) == "it did not work"
    assert operations.done == [("kill_container", "cluster@west")]


def test_a_server_says_wrongly_what_all_faults_of_the_moment_say() -> None:
    plan = _plan(
        {**WRONG, "factor": 0.1, "until_s": 3},
        {**WRONG, "between": ["east", "west"], "delay_ms": 80, "at_s": 2},
        {"kind": "alto_stale", "at_s": 2, "until_s": 3.5},
    )
    operations: Any = _Operations()
    performing = FaultPerformer(operations, plan.scenario.faults, _same, SERVER, lambda _name: None)
    first, second = WrongDelay("east", "middle", 0.1), WrongDelay("east", "west", delay_ms=80)
    for step in Schedule(plan.faults).due(9.0):
        assert performing.perform(step) == ""
    assert [done[1] for done in operations.done] == [
        Falsehood("present", (first,)),
        Falsehood("present", (first, second)),
        Falsehood("former", (first, second)),
        Falsehood("former", (second,)),
        Falsehood("present", (second,)),
    ]
    for _, falsehood in operations.done:
        assert Falsehood.from_document(falsehood.to_document()) == falsehood


class _Same(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key


_same = _Same()


class _Refill:
    """Functions that come when they are said to."""

    def __init__(self) -> None:
        self.begun = self.over = False
        self.missing = "echo at cluster@middle"

    def begin(self) -> None:
        self.begun = True

    def are_over(self) -> bool:
        return self.over


def test_a_cluster_that_comes_back_is_brought_what_it_held_once_it_serves() -> None:
    plan = _plan({"kind": "cluster_killed", "site": "middle", "until_s": 2})
    operations: Any = _Operations()
    refill = _Refill()
    performing = FaultPerformer(operations, plan.scenario.faults, _same, SERVER, lambda _name: refill)
    for step in Schedule(plan.faults).due(9.0):
        performing.perform(step)
    assert list(performing.step()) == [] and not refill.begun
    assert [happening.event for happening in performing.end()] == ["unfinished"]
    operations.ready.add("cluster@middle")
    assert list(performing.step()) == [] and refill.begun
    assert [happening.detail for happening in performing.end()] == ["echo at cluster@middle"]
    refill.over = True
    assert [happening.event for happening in performing.step()] == ["restored"]
    assert list(performing.step()) == list(performing.end()) == []


def test_all_kinds_are_explained(tmp_path: Path) -> None:
    del tmp_path
    page = (Path(__file__).parents[4] / "docs/alto/faults.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"| `{kind}` |" in page
    keys: Sequence[str] = [key for key in AltoFaultKeys.model_fields if key in ("function", "between", "factor")]
    assert all(f"`{key}`" in page for key in keys)
