"""The locks are whole: every file by its hash, every package that is needed, and in a run nothing of the tests."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testbed.cli.machine.checkout import ROOT
from tests.locks import RUN, TEST, Locked, read

LEFT_OUT = set(re.findall(r'"(\S+) ; python_version < \'3\'"', (ROOT / "pyproject.toml").read_text()))


def of_this_machine(locked: list[Locked]) -> dict[str, str]:
    return {item.name: item.version for item in locked if item.is_for_this_python}


@pytest.mark.parametrize("lock", [RUN, TEST], ids=lambda lock: lock.name)
def test_every_release_is_locked_by_the_hashes_of_its_files(lock):
    for item in read(lock):
        assert item.hashes, item.name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", found) for found in item.hashes), item.name


def test_what_is_locked_is_what_is_installed_here():
    for name, version in of_this_machine([*read(RUN), *read(TEST)]).items():
        assert metadata.version(name) == version, name


@pytest.mark.parametrize("locks", [(RUN,), (RUN, TEST)], ids=["run", "test"])
def test_a_lock_has_all_that_its_packages_need_but_what_is_left_out(locks):
    locked = of_this_machine([item for lock in locks for item in read(lock)])
    for name in locked:
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in {*locked, *LEFT_OUT}, f"{name} needs {text}"


def test_a_run_has_nothing_of_the_tests_and_nothing_that_is_left_out():
    of_runs = {item.name for item in read(RUN)}
    assert len(LEFT_OUT) == 4
    assert not of_runs & {item.name for item in read(TEST)}
    assert not of_runs & LEFT_OUT


_WITHOUT = """
import sys
from importlib import metadata

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import ryu_apps.launcher, testbed.cli, testbed.emulation.network, testbed.analysis.html_report
"""


def test_a_run_needs_nothing_that_is_left_out():
    absent = {*LEFT_OUT, "pytest", "hypothesis", "sortedcontainers", "paramiko", "lxml"}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(absent=absent)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
