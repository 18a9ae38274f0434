"""What a machine must have for a test, named in the reason of the skip; how far properties are searched; a
shell in the network of a test that failed (`--debug-shell`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from testbed.emulation.network import EmulatedNetwork

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let a longer limit than a test's own, as `-o timeout=1500` on a slow machine, be the limit of all tests."""
    limit_s = float(config.getoption("timeout", None) or config.getini("timeout") or 0)
    for item in items:
        own = item.get_closest_marker("timeout")
        if own is not None and own.args and own.args[0] < limit_s:
            item.add_marker(pytest.mark.timeout(limit_s), append=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    wanted = "when a test fails: a shell in the network that it used, which is removed when the shell ends"
    parser.addoption("--debug-shell", action="store_true", help=wanted)
    parser.addoption("--fuzz-seconds", type=float, default=20.0, help="how long each slow test in tests/fuzz searches")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Look at networks that an error in the test takes down, and at those of fixtures, which outlive it."""
    if not item.config.getoption("--debug-shell"):
        return (yield)
    from testbed.emulation import debug_shell

    def look(network: EmulatedNetwork, error: BaseException) -> None:
        if not isinstance(error, pytest.skip.Exception):
            with _terminal_for_us(item):
                debug_shell.open_in(network, error, say=print)

    with debug_shell.upon_failure(look):
        return (yield)


def pytest_exception_interact(node: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    if node.config.getoption("--debug-shell") and call.excinfo is not None and isinstance(node, pytest.Item):
        from testbed.emulation import debug_shell, network

        for standing in list(network.standing):
            with _terminal_for_us(node):
                debug_shell.open_in(standing, call.excinfo.value, say=print)


@contextmanager
def _terminal_for_us(item: pytest.Item) -> Iterator[None]:
    """Let go of the terminal, and of the limit on the test's time."""
    item.config.hook.pytest_timeout_cancel_timer(item=item)
    capture = item.config.pluginmanager.getplugin("capturemanager")
    capture.suspend(in_=True)
    try:
        yield
    finally:
        capture.resume()
