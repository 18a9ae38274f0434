"""The common life of an agent process: configuration in, tables out, ready, terminated.

Owns the contract at the head of `docs/processes.md` (exit codes, ready file, one-line errors, end with
the parent). Knows nothing of what the process does in between.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from testbed.agents.config import ConfigError, read
from testbed.event_loop import end_with_parent, run_until_terminated
from testbed.records import RecordWriter

EXIT_BAD_CONFIG = 2
EXIT_FAILED = 1


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def out_dir(self) -> Path: ...


Config = TypeVar("Config", bound=_Named)
Main = Callable[[Config, RecordWriter], Coroutine[Any, Any, None]]


class ProcessFailure(Exception):
    """The process cannot go on; its one line says which resource and what to do."""


def run(check: Callable[[Mapping[str, Any]], Config], main: Main[Config], arguments: list[str]) -> int:
    """Run `main` on the configuration file that `arguments` name; return the exit code."""
    if len(arguments) != 2:
        return _fail(EXIT_BAD_CONFIG, f"usage: {Path(arguments[0]).name} CONFIG.json")
    end_with_parent()
    try:
        config = check(read(arguments[1]))
    except ConfigError as error:
        return _fail(EXIT_BAD_CONFIG, f"{arguments[1]}: {error}")
    failures: list[str] = []

    async def recorded() -> None:
        # Failures are kept, not raised, for the loop must see the tasks of `main` end before it closes.
        try:
            with RecordWriter(config.out_dir, config.name) as records:
                await main(config, records)
        except ProcessFailure as failure:
            failures.append(str(failure))
        except OSError as error:
            failures.append(f"{error.filename or config.out_dir}: {error.strerror or error}")

    run_until_terminated(recorded())
    for failure in failures:
        return _fail(EXIT_FAILED, f"{config.name}: {failure}")
    return 0


def announce_ready(config: _Named) -> None:
    """Tell the runner, by a file, that the process can serve."""
    (config.out_dir / f"{config.name}.ready").touch()


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until they have gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _fail(code: int, message: str) -> int:
    print(message, file=sys.stderr)
    return code


def memory_mb() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
