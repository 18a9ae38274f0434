"""Programs that are not the testbed's own get the environment of whoever called it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from testbed.emulation.node_processes import NodeProcesses
from testbed.emulation.run_tag import RunTag
from testbed.runtime import caller
from testbed.runtime.child_command import Command
from testbed.runtime.polling import wait_until

_SHOW = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
_CALLERS = {"PATH": "/opt/own:/usr/bin:/bin", "PYTHONPATH": "/opt/own/python", "MPLBACKEND": "svg", "HOME": "/home/a"}


@pytest.fixture(autouse=True)
def _called_by_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in _CALLERS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{_CALLERS['PATH']}:/usr/local/sbin:/usr/sbin:/sbin")
    monkeypatch.setenv(caller.PATH_VARIABLE, _CALLERS["PATH"])
    monkeypatch.setenv(caller.OWNER_VARIABLE, "1000:1000")


def _shown(text: str) -> dict[str, str]:
    shown: dict[str, str] = json.loads(text)
    others = ("LC_CTYPE", "PYTEST_CURRENT_TEST")  # Python's, where no locale is set, and pytest's
    return {name: value for name, value in shown.items() if name not in others}


def test_a_command_gets_it_and_what_the_scenario_adds(tmp_path: Path) -> None:
    command = Command(_SHOW, tmp_path, {"TZ": "UTC"})
    assert asyncio.run(command.wait(20)) == 0
    assert _shown(command.said()) == {**_CALLERS, "TZ": "UTC"}


def test_a_process_of_a_node_gets_it_and_the_tag_of_the_run(tmp_path: Path) -> None:
    tag = RunTag("a1b2")
    log = tmp_path / "log"
    child = NodeProcesses(tag, lambda _node: 0).popen(None, _SHOW, log_path=log, env={"TZ": "UTC"}, pass_fds=())
    wait_until(lambda: child.poll() is not None, 20, "the program to end")
    assert _shown(log.read_text()) == {**_CALLERS, "TZ": "UTC", **tag.environment}


def test_who_had_no_path_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(caller.PATH_VARIABLE, "")
    assert "PATH" not in caller.environment()
    assert caller.search_path() == os.defpath


def test_without_a_launcher_it_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(caller.PATH_VARIABLE)
    monkeypatch.delenv(caller.OWNER_VARIABLE)
    assert caller.environment() == dict(os.environ)
