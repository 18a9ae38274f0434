"""What is done in the namespaces of many nodes at once: kernel settings, and commands of `ip`.

A node is its name and the process that holds its namespaces. Knows nothing of what a network consists of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from testbed.emulation.netns.iproute import run_batch
from testbed.emulation.netns.namespaces import entered
from testbed.errors import TestbedError

PidOf = Callable[[str], int]
Input = TypeVar("Input")

_THREADS = 4


class SettingError(TestbedError):
    """A namespace does not take a setting of the kernel; one line that names node and setting."""


def write_settings(pid_of: PidOf, settings: Mapping[str, Mapping[str, int]]) -> None:
    """Write kernel settings, by node and path below /proc/sys/net. Raises SettingError."""
    _in_each(pid_of, _write_settings, settings)


def run_ip(pid_of: PidOf, commands: Mapping[str, str], version: int | None = None) -> None:
    """Run lines of `ip -batch`, by node; `version`: of the one IP family. Raises IprouteError."""
    family = [] if version is None else [f"-{version}"]
    _in_each(pid_of, lambda node, lines: run_batch("ip", lines, node, *family), commands)


def _in_each(pid_of: PidOf, action: Callable[[str, Input], None], inputs: Mapping[str, Input]) -> None:
    def act(item: tuple[str, Input]) -> None:
        node, argument = item
        with entered(pid_of(node)):
            action(node, argument)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(act, inputs.items()))


def _write_settings(node: str, settings: Mapping[str, int]) -> None:
    for path, value in settings.items():
        try:
            Path("/proc/sys/net", path).write_text(str(value))
        except OSError as error:
            raise SettingError(f"{node}: cannot set net/{path} to {value}: {error.strerror}") from error
