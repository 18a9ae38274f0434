"""Steering and choice of a service: what a scenario may ask for, and what processes are told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ryu_apps.dyncast.config.tunnel import StationConfig, mac_octets
from testbed.experiment.scenario.file import ScenarioError, parse
from testbed.experiment.systems.dyncast.launch import process_configs
from tests.scenarios import SWITCH, small_document, small_plan


def services(**changes: Any) -> dict[str, Any]:
    document = small_document()
    return {**document["services"], "render": {**document["services"]["render"], **changes}}


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"choice": "site"}, "services.render.choice: choice site needs steering tunnel: the egress must still see"),
        ({"steering": "tunnel", "affinity": {"mode": "datapath"}}, "services.render.steering: steering tunnel needs"),
        ({"steering": "tunnel", "choice": "site", "affinity": {"fields": ["proto"]}}, "needs src among the flow field"),
        ({"steering": "tunnel", "local_policy": "random"}, "services.render.local_policy: only choice site leaves"),
        ({"steering": "tunnel", "choice": "site", "local_policy": "fastest"}, "'fastest' does not exist; there are:"),
        ({"steering": "tunnel", "choice": "site", "policy": "oracle"}, "looks at instances, not at sites"),
    ],
)
def test_what_cannot_be_is_refused_with_the_key_and_the_reason(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem):
        parse(small_document(services=services(**keys)), "small.yaml")


def test_a_scenario_that_says_nothing_rewrites_and_has_no_tunnels() -> None:
    plan = small_plan()
    assert plan.scenario.tunnelled_services == ()
    assert process_configs.tunnel(plan, "east", None, {}) is None


def test_a_control_process_is_told_where_every_station_is() -> None:
    plan = small_plan(services=services(steering="tunnel", choice="site", local_policy="random"))
    assert plan.scenario.tunnelled_services == ("render",)
    told = process_configs.tunnel(plan, "east", 9, {"render-1@east": 4, "client-1@east": 2})
    assert told is not None
    assert (told.address, told.port) == (plan.addresses.site("east").gateway4.ip, 9)
    stations = {station.address: station for station in told.stations}
    for item in plan.instances:
        host = plan.addresses.host(item.host)
        for address in (host.ipv4.ip, host.ipv6.ip):
            assert stations[address].port == (4 if item.site == "east" else None)
    middle = plan.addresses.site("middle")
    assert stations[middle.gateway4.ip] == StationConfig(middle.gateway4.ip, mac_octets(middle.mac))
    assert told.address not in stations
    control = process_configs.control(
        plan, "east", Path("out"), datapath_id=1,
        openflow_fd=9, uplink_port=1, in_band_fd=3, switch=SWITCH, zones={},
        tunnel=told,
    )  # fmt: skip
    render = next(service for service in control.services if service.name == "render")
    assert (render.steering, render.choice, render.local_policy) == ("tunnel", "site", "random")
    assert control.tunnel == told
