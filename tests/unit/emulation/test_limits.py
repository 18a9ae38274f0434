"""Limits of processes and files: a network that would meet one half-way is refused before it is built."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.emulation import mininet_nodes
from testbed.emulation.machine import limits
from testbed.emulation.machine.capabilities import probe

_ROOT = Path(__file__).parents[3]
_FEW_FILES = """
import resource, sys
from testbed.emulation.machine import capabilities, limits
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
print(capabilities.probe().row("files"))
limits.check(20)
try:
    limits.check(100)
except limits.LimitError as error:
    print(error)
"""


def test_what_is_left_here_is_enough_for_a_small_network_and_for_no_enormous_one() -> None:
    limits.check(10)
    assert limits.processes().left > limits.LEAST_PROCESSES
    try:
        limits.check(10_000_000)
    except limits.LimitError as error:
        assert "processes and threads by" in str(error)
        assert "raise it: " in str(error)
    else:
        raise AssertionError("it was not refused")


def test_few_open_files_are_named_by_doctor_and_by_a_run_with_what_raises_them() -> None:
    done = subprocess.run([sys.executable, "-c", _FEW_FILES], cwd=_ROOT, capture_output=True, text=True, check=True)
    row, error = done.stdout.splitlines()
    assert "present=False" in row and "512 more open files by ulimit -Hn" in row
    assert error.startswith("a network of 100 nodes takes about 1000 open files, and there may be 512")
    assert "ulimit -Hn 65536" in error


def test_doctor_shows_both() -> None:
    found = probe()
    assert found.row("processes").needed and found.row("files").needed


@pytest.mark.parametrize(
    ("soft", "hard", "allowed"),
    [(1024, 4096, 4096), (1024, 1 << 20, 65_536), (1 << 20, 1 << 20, 65_536), (1024, resource.RLIM_INFINITY, 65_536)],
)
def test_nodes_start_with_files_for_many_of_them_and_not_for_as_many_as_there_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int
) -> None:
    written: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: written.append(limit))
    mininet_nodes.allow_many_files()
    assert written == [(allowed, hard)]
