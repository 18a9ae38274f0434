"""The scenario's `control`: what each mode needs and refuses, and what its processes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ryu_apps.dyncast.config.control_process import ControlConfig
from testbed.agents.metric_agent.config import MetricAgentConfig
from testbed.dyncast.control.role import DISTRIBUTED, Control
from testbed.dyncast.metric_agent.conditions import Band
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import process_configs
from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError
from tests.scenarios import SWITCH, small_document, small_plan

CENTRALIZED = {"mode": "centralized", "controller": "east"}
HYBRID = {"mode": "hybrid", "controller": "east"}


def told(plan: Plan, site: str) -> ControlConfig:
    return process_configs.control(
        plan,
        site,
        Path("out"),
        datapath_id=1,
        openflow_fd=9,
        uplink_port=3,
        in_band_fd=4,
        switch=SWITCH,
        zones={},
    )


def agent(plan: Plan, site: str) -> MetricAgentConfig:
    config = process_configs.metric_agent(plan, site, Path("out"))
    assert config is not None
    return config


def address(plan: Plan, site: str) -> tuple[Address, int]:
    return plan.addresses.site(site).gateway4.ip, process_configs.IN_BAND_PORT


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control": {"mode": "centralised"}}, ["control.mode", "'distributed', 'centralized' or 'hybrid'"]),
        ({"control": {"mode": "centralized"}}, ["control", "mode centralized needs controller"]),
        ({"control": {"mode": "hybrid", "controller": "eats"}}, ["control.controller", "eats", "did you mean 'east'"]),
        ({"control": {"controller": "east"}}, ["control", "distributed takes no controller"]),
        ({"control": {"interval_s": 1}}, ["control", "distributed takes no interval_s"]),
        ({"control": {**CENTRALIZED, "slow_interval_s": 1}}, ["control", "takes no slow_interval_s"]),
        ({"control": {**CENTRALIZED, "interval_s": 10}}, ["control.interval_s", "10 s only", "lifetime_s"]),
        ({"control": {**CENTRALIZED, "lifetime_s": 0.5}}, ["control.interval_s", "0.5 s only", "lifetime_s"]),
        ({"control": {**HYBRID, "slow_interval_s": 10}}, ["control.slow_interval_s", "metrics.lifetime_s"]),
        ({"control": CENTRALIZED, "policy": "oracle"}, ["services.render.policy", "oracle", "distributed"]),
    ],
)
def test_what_cannot_be_is_said_in_one_line(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        small_plan(**changes)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_the_egress_cannot_choose_where_a_controller_does() -> None:
    document = small_document(control=CENTRALIZED)
    document["services"]["render"] |= {"steering": "tunnel", "choice": "site"}
    with pytest.raises(ScenarioError, match=r"services\.render\.choice: site is for control\.mode distributed"):
        small_plan(**document)


def test_unless_something_is_said_each_d_router_decides_for_itself() -> None:
    plan = small_plan()
    assert told(plan, "east").control == DISTRIBUTED
    assert agent(plan, "middle").d_router == address(plan, "middle")
    assert (agent(plan, "middle").controller, agent(plan, "middle").slow_reporting) == (None, None)


def test_in_the_centralized_mode_agents_tell_the_controller() -> None:
    plan = small_plan(control={**CENTRALIZED, "interval_s": 0.25, "lifetime_s": 7}, metrics={"interval_s": 2})
    for site in plan.sites:
        assert agent(plan, site).d_router == address(plan, "east")
        assert agent(plan, site).controller is None
        assert told(plan, site).d_router.control == Control(
            "centralized", "east", interval_s=0.25, lifetime_s=7, settle_s=2
        )


def test_in_the_hybrid_mode_agents_tell_both() -> None:
    plan = small_plan(control=HYBRID, metrics={"lifetime_s": 6, "interval_s": 0.5})
    config = agent(plan, "middle")
    assert (config.d_router, config.controller) == (address(plan, "middle"), address(plan, "east"))
    assert (config.reporting, config.slow_reporting) == (
        Reporting(0.5),
        Reporting(2, Band((4, 8), hysteresis_points=1)),
    )
    control = told(plan, "middle").d_router.control
    assert (control.mode, control.lifetime_s) == ("hybrid", 6)
    slower = agent(small_plan(control={**HYBRID, "slow_interval_s": 4}, metrics={"lifetime_s": 6}), "middle")
    assert slower.slow_reporting is not None and slower.slow_reporting.refresh_s == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "distributed"}, "control cannot be used: mode distributed takes no controller"),
        ({"interval_s": 0}, "control.interval_s must be > 0"),
        ({"settle_s": -1}, "control.settle_s must be >= 0"),
        ({"who": "me"}, "control.who"),
    ],
)
def test_a_mistake_in_what_a_process_is_told(change: dict[str, Any], message: str) -> None:
    document = told(small_plan(control=CENTRALIZED), "east").to_document()
    good = {**CENTRALIZED, "interval_s": 1, "lifetime_s": 5, "settle_s": 0}
    assert ControlConfig.from_document({**document, "control": good}).d_router.control.controller == "east"
    with pytest.raises(ConfigError, match=message):
        ControlConfig.from_document({**document, "control": {**good, **change}})


def test_a_process_that_is_told_nothing_decides_for_itself() -> None:
    document = told(small_plan(), "east").to_document()
    del document["control"]
    assert ControlConfig.from_document(document).d_router.control == DISTRIBUTED
    with pytest.raises(ValueError, match="takes a controller"):
        Control("hybrid")
