"""The machine and the software a run happened on: those of the testbed, whoever called it from wherever."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testbed.experiment.execution import environment

_ROOT = Path(__file__).parents[3]


def test_the_commit_is_that_of_the_testbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = subprocess.run(["git", "-C", str(_ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode:
        pytest.skip("the tests lie in no repository")
    monkeypatch.setenv("GIT_DIR", str(tmp_path))  # as in a hook of another repository
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert environment.describe()["git_commit"] == commit.stdout.strip()
