"""What a machine must have for a test: named in the reason of the skip."""

from __future__ import annotations

import os
import shutil

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is None:
        return
    if os.geteuid() != 0:
        pytest.skip("capability root is missing: run as root")
    for program in ("ovs-vsctl", "mnexec"):
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: install it, or run `sudo ./dyncast test`")
