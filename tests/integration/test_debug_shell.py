"""A shell in the network of what failed: in a terminal, with what stands; elsewhere none; nothing stays after it."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.machine import CHECKOUT, dyncast, unchanged

pytestmark = pytest.mark.root

PROMPT = re.compile(r"\[[0-9a-f]{4}\] \S+# ")
FAILING_TESTS = """
import pytest
from testbed.emulation.machine.capabilities import choose_backends, probe
from tests.integration.test_network import build

@pytest.fixture
def network(tmp_path):
    with build(tmp_path, choose_backends(probe())) as network:
        network.start()
        yield network

def test_of_a_network_that_is_a_fixture(network):
    assert network.pid("east") < 0

def test_of_a_network_of_its_own(tmp_path):
    with build(tmp_path, choose_backends(probe())) as network:
        network.start()
        assert network.pid("west") < 0
"""


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A scenario whose only instance ends at once, when the network already stands."""
    document = yaml.safe_load((CHECKOUT / "docs/examples/first.yaml").read_text(encoding="utf-8"))
    document["services"] = {"render": {"d_sid": "203.0.113.10", "kind": "command", "port": 80}}
    document["instances"] = [{"service": "render", "site": "west", "command": "false"}]
    document["workloads"] = [{"name": "jobs", "service": "render", "clients": ["east"], "command": "true"}]
    path = tmp_path / "failing.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def in_a_terminal(*arguments: str, keys: str) -> tuple[int, str]:
    """Run Python in a terminal of its own, type `keys` at each prompt of a shell; return code and output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(CHECKOUT)
        os.execv(sys.executable, [sys.executable, *arguments])
    shown, typed, until_s = "", 0, time.monotonic() + 100
    while time.monotonic() < until_s:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # the last process has left the terminal
            break
        if len(PROMPT.findall(shown)) > typed:
            os.write(terminal, keys.encode())
            typed += 1
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_a_failed_run_can_be_looked_at_and_leaves_nothing(failing: Path, tmp_path: Path) -> None:
    run = ["-m", "testbed.cli", "run", str(failing), "--out", str(tmp_path / "out"), "--debug-shell"]
    look = (
        "enter client-1@east ip -color=never -brief address; enter nobody; "
        "ovs-vsctl list-br | head -1 | sed 's/^/bridge: /'; exit\n"
    )
    with unchanged():
        code, shown = in_a_terminal(*run, keys=look)
    assert code == 1
    assert "10.1.0.10/" in shown, shown
    assert "there is no node 'nobody'" in shown
    assert "bridge: dy" in shown


def test_without_a_terminal_a_failed_run_says_so_and_ends(failing: Path, tmp_path: Path) -> None:
    with unchanged():
        done = dyncast("run", str(failing), "--out", str(tmp_path / "out"), "--debug-shell")
    assert done.returncode == 1
    assert "no debug shell: standard input and output are no terminal" in done.stdout


def test_networks_of_failed_tests_can_be_looked_at_whoever_made_them(tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING_TESTS, encoding="utf-8")
    tests = ["-m", "pytest", "-p", "tests.conftest", "--debug-shell", "-q", str(tmp_path / "test_failing.py")]
    with unchanged():
        code, shown = in_a_terminal(*tests, keys="enter east hostname -I; exit\n")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert len(PROMPT.findall(shown)) == 2
    assert shown.count("failed: assert") == 2
    assert "2 failed" in shown
