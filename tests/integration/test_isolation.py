"""A command on a machine of its own: it meets nothing of ours, leaves nothing, and lacks nothing that we have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testbed.cli.machine import isolation
from tests.machine import CHECKOUT, unchanged

pytestmark = pytest.mark.root

_LOOK = """
import os
from pathlib import Path
from testbed.emulation.machine.capabilities import open_vswitch_runs
print(sorted(os.listdir("/sys/class/net")), open_vswitch_runs(), os.getpid() < 100, len(os.listdir("/sys/fs/cgroup")))
Path("/run/of-its-own").touch()
"""


def _isolated(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        isolation.isolated(command), cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_has_interfaces_processes_and_an_open_vswitch_of_its_own_and_our_control_groups() -> None:
    assert isolation.is_possible()
    with unchanged():
        looked = _isolated(sys.executable, "-c", _LOOK)
    groups = len(list(Path("/sys/fs/cgroup").iterdir()))
    assert (looked.stdout, looked.returncode) == (f"['lo'] True True {groups}\n", 0), looked.stderr
    assert not Path("/run/of-its-own").exists()


def test_it_ends_as_the_command_does() -> None:
    assert _isolated("sh", "-c", "exit 3").returncode == 3
