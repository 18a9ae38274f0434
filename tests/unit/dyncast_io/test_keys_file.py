"""Keys of nodes: who is told of which, that nobody else can read them, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ryu_apps.dyncast.config.control_process import ControlConfig
from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.messages.authentication import Identity, Role
from testbed.dyncast_io import keys_file
from testbed.emulation import run_tag
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import node_keys, process_configs
from testbed.runtime.config import ConfigError
from tests.scenarios import SWITCH, small_plan

_ROUTER, _AGENT = Identity(Role.D_ROUTER, "zürich"), Identity(Role.AGENT, "zürich")
_KEYS = {_ROUTER: b"r" * 32, _AGENT: b"a" * 32}


def control_config(plan: Plan, folder: Path, keys_folder: Path | None = None) -> ControlConfig:
    return process_configs.control(
        plan, "east", folder, datapath_id=1, openflow_fd=9, uplink_port=1, in_band_fd=3,
        switch=SWITCH, zones={},
        inspection_socket="x", keys_folder=keys_folder,
    )  # fmt: skip


# -- the file ----------------------------------------------------------------------------------------


def test_what_is_written_is_read_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys_file.write(path, _KEYS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys_file.read(path) == _KEYS
    with pytest.raises(FileExistsError):
        keys_file.write(path, _KEYS)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    keys_file.write(path, _KEYS)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="set its mode to 0600"):
        keys_file.read(path)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "must hold a JSON object"),
        ({"agents": {}}, "agents is not a known key"),
        ({"agent": {"x": "aa"}}, "agent.x must be 64 hex digits"),
        ({"agent": {"x": "zz" * 32}}, "agent.x must be 64 hex digits"),
        ({"agent": {"x": "aa" * 32}}, "no key of the D-Router of site 'x' itself"),
    ],
)
def test_a_file_that_is_of_no_use_is_one_line_without_a_key_in_it(tmp_path: Path, document: object, words: str) -> None:
    path = tmp_path / "keys"
    path.touch(0o600)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(ConfigError, match=words) as caught:
        keys_file.authenticator(path, Identity(Role.D_ROUTER, "x"), 1)
    assert str(caught.value).startswith(f"keys_file: {path}: ")
    assert not any(digits in str(caught.value) for digits in ("aaaa", "zzzz"))


def test_a_missing_file_is_said_and_no_file_is_no_authentication(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        keys_file.authenticator(tmp_path / "none", _ROUTER, 1)
    assert keys_file.authenticator(None, _ROUTER, 1) is None


# -- a run -------------------------------------------------------------------------------------------


def test_each_process_is_told_of_the_keys_that_it_needs(tmp_path: Path) -> None:
    node_keys.write(small_plan(), tmp_path)
    told = {path.name: keys_file.read(path) for path in tmp_path.iterdir()}
    assert told.keys() == {"control@east", "control@middle", "dma@east", "dma@middle"}
    everybody = told["control@east"]
    assert everybody == told["control@middle"]
    assert everybody.keys() == {
        Identity(role, site) for role in (Role.AGENT, Role.D_ROUTER) for site in ("east", "middle")
    }
    assert len(set(everybody.values())) == 4
    for site in ("east", "middle"):
        agent = Identity(Role.AGENT, site)
        assert told[f"dma@{site}"] == {agent: everybody[agent]}


def test_keys_are_of_one_run_whatever_the_seed(tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        node_keys.write(small_plan(seed=1), tmp_path / name)
        drawn.append(keys_file.read(tmp_path / name / "control@east"))
    assert not set(drawn[0].values()) & set(drawn[1].values())


def test_the_folder_for_keys_is_private_and_goes_with_the_registration(tmp_path: Path) -> None:
    tag = run_tag.claim("x", register=tmp_path)
    folder = run_tag.keys_folder(tag, register=tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    keys_file.write(folder / "a", _KEYS)
    assert list(run_tag.registrations(tmp_path)) == [tag]
    run_tag.release(tag, register=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_processes_are_told_where_their_keys_are_and_what_each_site_has(tmp_path: Path) -> None:
    plan = small_plan(metrics={"rate_limit": {"reports_per_s": 5, "burst": 7}})
    control = control_config(plan, tmp_path, tmp_path / "keys")
    assert control.keys_file == tmp_path / "keys" / "control@east"
    assert (control.d_router.report_rate.per_s, control.d_router.report_rate.burst) == (5, 7)
    assert [str(prefix) for prefix in control.d_router.prefixes] == ["10.1.0.0/16", "fd00:d:1::/64"]
    assert [str(prefix) for prefix in control.d_router.peers[0].prefixes] == ["10.2.0.0/16", "fd00:d:2::/64"]
    agent = process_configs.metric_agent(plan, "east", tmp_path, tmp_path / "keys")
    assert agent is not None and agent.keys_file == tmp_path / "keys" / "dma@east"


def test_without_authentication_nobody_is_told_of_keys(tmp_path: Path) -> None:
    control = control_config(small_plan(), tmp_path)
    assert (control.keys_file, control.d_router.report_rate) == (None, REPORT_RATE)
    agent = process_configs.metric_agent(small_plan(), "east", tmp_path)
    assert agent is not None and agent.keys_file is None


def test_an_unknown_way_of_authentication_is_said_when_the_scenario_is_read() -> None:
    with pytest.raises(ScenarioError, match=r"metrics\.authentication.*'hmac'"):
        small_plan(metrics={"authentication": "ed25519"})
