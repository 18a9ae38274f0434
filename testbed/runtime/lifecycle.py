"""The life that all processes of a run share: configuration in, ready, terminated, exit code out.

Owns the contract at the head of `docs/processes.md` (command line, exit codes, one-line errors, end with the parent,
ready file). Stdlib only. Knows nothing of what a process does in between.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from testbed import json_documents
from testbed.errors import TestbedError
from testbed.records.file_names import file_name
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.document import ProcessConfig
from testbed.runtime.event_loop import end_with_parent, run_until_terminated
from testbed.runtime.pulse import Pulse

EXIT_FAILED = 1
EXIT_BAD_CONFIG = 2


Config = TypeVar("Config", bound=ProcessConfig)


class ProcessFailure(TestbedError):
    """The process cannot go on; its one line says which resource and what to do."""


def load(path: Path | str, kind: type[Config]) -> Config:
    """Return the configuration in a file. Raises ConfigError naming file and key."""
    try:
        config = kind.from_document(_document(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not config.out_dir.is_dir():
        raise ConfigError(f"{path}: out_dir must be a folder that exists, not {str(config.out_dir)!r}")
    return config


def run(kind: type[Config], main: Callable[[Config], None], arguments: Sequence[str]) -> int:
    """Run `main` on the configuration file that `arguments` (as in sys.argv) name; return the exit code.

    `main` may raise ConfigError for what only shows when the configuration is put to use, ProcessFailure and OSError.
    """
    if len(arguments) != 2:
        return _fail(EXIT_BAD_CONFIG, f"usage: {_program(arguments)} CONFIG.json")
    end_with_parent()
    try:
        config = load(arguments[1], kind)
    except ConfigError as error:
        return _fail(EXIT_BAD_CONFIG, str(error))
    try:
        main(config)
    except ConfigError as error:
        return _fail(EXIT_BAD_CONFIG, f"{arguments[1]}: {error}")
    except ProcessFailure as failure:
        return _fail(EXIT_FAILED, f"{config.name}: {failure}")
    except OSError as error:
        return _fail(EXIT_FAILED, f"{config.name}: {error.filename or config.out_dir}: {error.strerror or error}")
    return 0


def run_recorded(
    kind: type[Config], main: Callable[[Config, RecordWriter], Coroutine[Any, Any, None]], arguments: Sequence[str]
) -> int:
    """Like `run`, for a coroutine that writes tables; SIGTERM or SIGINT cancels it."""

    async def recorded(config: Config) -> None:
        with RecordWriter(config.out_dir, config.name) as records:
            await main(config, records)

    def alive(config: Config) -> None:
        run_until_terminated(recorded(config), Pulse(config.out_dir, config.name, time.monotonic()))

    return run(kind, alive, arguments)


def announce_ready(config: ProcessConfig) -> None:
    """Report to the runner, by a file, that the process can serve."""
    (config.out_dir / f"{file_name(config.name)}.ready").touch()


def _document(path: Path | str) -> object:
    try:
        return json_documents.parse(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"is no JSON: {error}") from error


def _program(arguments: Sequence[str]) -> str:
    # Under `python -m`, arguments[0] is the path of a file that cannot be started by that path.
    specification = sys.modules["__main__"].__spec__
    return f"python -m {specification.name}" if specification else Path(arguments[0]).name


def _fail(code: int, message: str) -> int:
    print(message, file=sys.stderr)
    return code
