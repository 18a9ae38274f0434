"""The policy `oracle` in a scenario: who is told of the shared memory, and where it makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ryu_apps.dyncast.config.control_process import ControlConfig
from testbed.agents.instance.config import TrueStateConfig
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import process_configs
from testbed.runtime.config import ConfigError
from tests.scenarios import small_document, small_plan


def oracle_for(service: str, **changes: Any) -> dict[str, Any]:
    services = small_document()["services"]
    services[service] |= {"policy": "oracle", **changes}
    return {"services": services}


def test_instances_of_the_service_and_all_d_routers_share_memory(tmp_path: Path) -> None:
    plan = small_plan(**oracle_for("render"))
    shown = [process_configs.instance(plan, item, 0, tmp_path).true_state for item in plan.instances]
    folder = tmp_path / "true_states"
    assert shown == [
        *(TrueStateConfig(folder / f"{item.d_bid}.state", 2) for item in plan.instances[:2]), None
    ]  # fmt: skip


def test_without_it_nobody_shares_anything(tmp_path: Path) -> None:
    plan = small_plan()
    assert not any(process_configs.instance(plan, item, 0, tmp_path).true_state for item in plan.instances)


def test_a_switch_that_binds_flows_by_itself_cannot_ask_an_oracle() -> None:
    with pytest.raises(ScenarioError, match=r"services\.render\.affinity\.mode: datapath .* policy oracle"):
        small_plan(**oracle_for("render", affinity={"mode": "datapath"}))


def test_a_control_process_must_know_where_to_look() -> None:
    document = {
        "name": "control@x", "site": "x", "seed": 1, "out_dir": "/tmp", "datapath_id": 1,
        "openflow_fd": 9, "uplink_port": 1, "in_band_fd": 5, "in_band_port": 7000,
        "services": [{"name": "render", "d_sids": ["203.0.113.10"], "policy": "oracle"}],
    }  # fmt: skip
    with pytest.raises(ConfigError, match="true_state_folder is missing; a service under the policy oracle needs it"):
        ControlConfig.from_document(document)
    assert ControlConfig.from_document({**document, "true_state_folder": "/tmp/x"}).true_state_folder == Path("/tmp/x")
