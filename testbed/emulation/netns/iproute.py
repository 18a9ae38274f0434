"""Batches of commands for the programs of iproute2: many interfaces, addresses or table entries by one process.

Owns how they are run and what their errors say. Runs them where the calling thread is; knows no nodes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from testbed.errors import TestbedError


class IprouteError(TestbedError):
    """A batch that failed; one line that says where and why.

    `line`: the number of the command that failed, from 1, if the program said it; `reason`: the program and its words.
    """

    def __init__(self, where: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{where}: {reason}")
        self.reason = reason
        self.line = line


def run_batch(program: str, commands: str, where: str, *options: str) -> None:
    """Run the commands, a line each, by `ip` or `bridge`. Raises IprouteError."""
    done = _run([program, *options, "-batch", "-"], commands, where)
    if done.returncode != 0:
        # The last of its words is 'Command failed -:<line>'.
        reason, _, place = done.stderr.strip().rpartition("\n")
        number = place.rpartition(":")[2].strip()
        words = " ".join((reason or place).split()) or f"exit code {done.returncode}"
        raise IprouteError(where, f"{program} failed: {words}", int(number) if number.isdigit() else None)


def run_batch_regardless(program: str, commands: str, where: str) -> None:
    """Run the commands as `run_batch` does, but go on past those that fail, and say nothing of them."""
    _run([program, "-force", "-batch", "-"], commands, where)


def _run(argv: Sequence[str], commands: str, where: str) -> subprocess.CompletedProcess[str]:
    try:
        # In a session of its own, for a Ctrl-C is for the testbed, which decides what is to be ended.
        return subprocess.run(argv, input=commands, text=True, capture_output=True, start_new_session=True, check=False)
    except FileNotFoundError as error:
        raise IprouteError(where, f"{argv[0]} is not installed; apt-get install -y iproute2") from error
