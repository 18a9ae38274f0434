"""Faults of a scenario: which keys they take, what they reach, when and how they are performed."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.faults import injector
from testbed.experiment.faults.steps import Schedule, Step
from testbed.experiment.plan.plan import Plan
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.faults import performer
from testbed.records.parts import archive_parts
from testbed.records.writer import RecordWriter
from tests.scenarios import small_plan


def _plan(*faults: dict[str, Any], **changes: Any) -> Plan:
    return small_plan(faults=list(faults), **changes)


def _planned(**fault: Any) -> PlannedFault:
    (planned,) = _plan({"at_s": 1, **fault}).faults
    return planned


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "instance_crash"}, ["faults", "instance_crash takes instance", "it has: nothing"]),
        ({"kind": "link_down", "site": "east"}, ["link_down takes link", "it has: site"]),
        ({"kind": "instance_crash", "instance": "render-1@east", "until_s": 1}, ["until_s (1)", "after at_s (1)"]),
        ({"kind": "instance_crash", "instance": "render-1@est"}, ["faults[0].instance", "mean 'render-1@east'"]),
        ({"kind": "egress_unreachable", "site": "midle"}, ["faults[0].site", "mean 'middle'"]),
        ({"kind": "agent_silent", "site": "new york"}, ["faults[0].site", "east"]),
        ({"kind": "link_down", "link": ["east", "Chicago"]}, ["faults[0].link", "'east' is linked to", "New York"]),
        ({"kind": "link_down", "link": ["Chicgo", "east"]}, ["faults[0].link", "mean 'Chicago'"]),
        ({"kind": "partition", "nodes": ["east", "New Yrk"]}, ["faults[0].nodes", "mean 'New York'"]),
        ({"kind": "migrate", "instance": "render-1@east", "to": "conference-1@middle"}, ["faults[0].to", "service"]),
        ({"kind": "instance_crash", "instance": "render-1@east", "at_s": 9}, ["faults[0].at_s", "duration_s is 4"]),
        ({"kind": "instance_stop", "instance": "render-1@east", "quiet_s": 1}, ["no quiet_s", "migrate"]),
        ({"kind": "link_degraded", "link": ["Chicago", "New York"]}, ["faults", "delay_ms or loss_percent", "neither"]),
        ({"kind": "link_degraded", "delay_ms": 5}, ["link_degraded takes link", "it has: nothing"]),
        ({"kind": "link_degraded", "link": ["Chicago", "New York"], "delay_ms": 0}, ["faults[0].delay_ms"]),
        ({"kind": "link_degraded", "link": ["Chicago", "Denver"], "delay_ms": 5}, ["faults[0].link", "is linked to"]),
        ({"kind": "link_degraded", "link": ["client-1@east", "east"], "delay_ms": 5},
         ["faults[0].link", "nothing impairs", "state a delay"]),
        ({"kind": "link_down", "link": ["Chicago", "New York"], "delay_ms": 5}, ["no delay_ms", "link_degraded"]),
        ({"kind": "earthquake"}, ["faults[0].kind", "instance_crash"]),
    ],
)  # fmt: skip
def test_a_fault_that_cannot_be_is_said_in_one_line(fault: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        _plan({"at_s": 1, **fault})
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_site_is_cut_off_by_its_links_to_the_network_not_to_its_hosts() -> None:
    fault = _planned(kind="egress_unreachable", site="middle")
    assert fault.links == (("middle", "Chicago"),)
    assert set(fault.reach) == {
        ("east", "render-1@middle"), ("east", "conference-1@middle"), ("middle", "render-1@east")
    }  # fmt: skip


def test_a_partition_cuts_all_links_between_its_sides_and_nothing_within() -> None:
    fault = _planned(kind="partition", nodes=["east", "New York"])
    assert {frozenset(link) for link in fault.links} == {
        frozenset({"New York", "Chicago"}), frozenset({"New York", "Washington DC"})
    }  # fmt: skip
    assert ("east", "render-1@east") not in fault.reach
    assert ("east", "render-1@middle") in fault.reach


def test_a_link_reaches_those_whose_path_crosses_it() -> None:
    assert _planned(kind="link_down", link=["Denver", "Kansas City"]).reach == ()
    fault = _planned(kind="link_down", link=["render-1@middle", "middle"])
    assert set(fault.reach) == {("east", "render-1@middle"), ("middle", "render-1@middle")}


def test_what_a_fault_starts_does_not_run_before() -> None:
    migrate = {"at_s": 2, "kind": "migrate", "instance": "render-1@east", "to": "render-1@middle"}
    plan = _plan(migrate)
    assert [item.name for item in plan.first_instances] == ["render-1@east", "conference-1@middle"]
    stopped_before = {"at_s": 1, "kind": "instance_stop", "instance": "render-1@middle"}
    assert len(_plan(migrate, stopped_before).first_instances) == 3


def test_steps_come_in_time_once_and_ends_before_begins() -> None:
    plan = _plan(
        {"at_s": 2, "kind": "instance_crash", "instance": "render-1@east"},
        {"at_s": 1, "until_s": 2, "kind": "agent_silent", "site": "east"},
    )
    schedule = Schedule(plan.faults)
    assert schedule.due(0.99) == []
    assert [(step.event, step.fault.kind) for step in schedule.due(1.0)] == [("begin", "agent_silent")]
    assert [(step.event, step.fault.kind) for step in schedule.due(9.0)] == [
        ("end", "agent_silent"), ("begin", "instance_crash")
    ]  # fmt: skip
    assert schedule.due(10.0) == []


class _Hands:
    """Note what is done; `remark` is what each deed has to say."""

    def __init__(self, remark: str = "") -> None:
        self.done: list[tuple[object, ...]] = []
        self._remark = remark

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.done.append((name, *arguments)) or self._remark


def perform(step: Step, hands: Any) -> str:
    return (injector if step.fault.links else performer).perform(step, hands)


CONFIGURED = next(link.spec for link in _plan().topology.links if {link.a, link.b} == {"New York", "Chicago"})
WORSE = replace(CONFIGURED, delay_ms=99, loss_percent=2)  # the rest is as it was


@pytest.mark.parametrize(
    ("fault", "begin", "end"),
    [
        ({"kind": "instance_crash", "instance": "render-1@east"},
         [("kill", "render-1@east")], [("start_instance", "render-1@east")]),
        ({"kind": "instance_stop", "instance": "render-1@east"},
         [("stop", "render-1@east")], [("start_instance", "render-1@east")]),
        ({"kind": "instance_start", "instance": "render-1@east"},
         [("start_instance", "render-1@east")], [("stop", "render-1@east")]),
        ({"kind": "instance_drain", "instance": "render-1@east"},
         [("set_state", "render-1@east", "draining")], [("set_state", "render-1@east", "up")]),
        ({"kind": "egress_unreachable", "site": "middle"},
         [("cut", "middle", "Chicago")], [("restore", "middle", "Chicago")]),
        ({"kind": "link_degraded", "link": ["New York", "Chicago"], "delay_ms": 99, "loss_percent": 2},
         [("degrade", "New York", "Chicago", WORSE)], [("repair", "New York", "Chicago", WORSE)]),
        ({"kind": "agent_silent", "site": "middle"},
         [("signal", "dma@middle", signal.SIGSTOP)], [("signal", "dma@middle", signal.SIGCONT)]),
        ({"kind": "control_killed", "site": "middle"},
         [("kill", "control@middle")], [("start_control", "middle")]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_each_kind_is_done_and_undone(fault: dict[str, Any], begin: list[Any], end: list[Any]) -> None:
    schedule = Schedule([_planned(until_s=2, **fault)])
    hands = _Hands()
    for step in schedule.due(5.0):
        perform(step, hands)
    assert hands.done == begin + end


def test_what_could_not_be_done_is_remarked() -> None:
    (step,) = Schedule([_planned(kind="instance_crash", instance="render-1@east")]).due(1.0)
    assert perform(step, _Hands("it did not run")) == "it did not run"


def test_what_a_killed_process_wrote_is_kept_to_the_last_whole_row(tmp_path: Path) -> None:
    for life in (1, 2):
        with RecordWriter(tmp_path, "render-1@east") as writer:
            writer.write("instances", {"time_s": float(life), "instance": "render-1@east"})
        with (tmp_path / "instances.render-1@east.part.csv").open("a", encoding="utf-8") as part:
            part.write("7.0,rend")
        archive_parts(tmp_path, "render-1@east")
    assert not (tmp_path / "instances.render-1@east.part.csv").exists()
    kept = sorted(path.read_text().splitlines()[1:] for path in tmp_path.glob("instances.*.part.csv"))
    assert [[row.split(",")[0] for row in rows] for rows in kept] == [["1.000000"], ["2.000000"]]
