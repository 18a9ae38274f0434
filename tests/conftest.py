"""What a machine must have for a test, named in the reason of the skip; how far properties are searched."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

# No deadline: how long an example takes is not what a property says. `--slow` looks much further.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    selection = str(config.option.markexpr)
    settings.load_profile("quick" if selection == "not slow" else "thorough")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is None:
        return
    if os.geteuid() != 0:
        pytest.skip("capability root is missing: run as root")
    for program in ("ovs-vsctl", "mnexec"):
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: install it, or run `sudo ./dyncast test`")
