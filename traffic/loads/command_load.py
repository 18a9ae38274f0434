"""A load that somebody else's program makes: `python -m traffic.loads.command_load CONFIG.json` (docs/processes.md).

Owns one command at one client: started at its time, ended at the end of its window, its row in `commands`. What it
sends and receives is its own business; its flows are seen at the instances. A command that fails is a result, not a
failure of this process.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from testbed.records.writer import RecordWriter
from testbed.runtime.child_command import Command
from testbed.runtime.document import ProcessConfig
from testbed.runtime.forms import Length, NotNegative, Texts
from testbed.runtime.lifecycle import ProcessFailure, announce_ready, run_recorded
from traffic.loads import tool_parsers

_GRACE_S = 2.0


@dataclass(frozen=True)
class CommandLoadConfig(ProcessConfig):
    """The configuration of a command of one client. Times are on CLOCK_MONOTONIC."""

    workload: str
    """The workload that it is."""
    service: str
    """The service that it asks."""
    client: str
    """The client that it runs at."""
    argv: Annotated[tuple[str, ...], Length(1, "a list of strings")]
    """The command."""
    within: Texts
    """What starts it in its surroundings, no part of what is written down."""
    environment: Texts
    """NAME=value each, beside what it inherits."""
    folder: Path
    """Where it runs."""
    output: str
    """What its output file is called in the results."""
    start_s: float
    """It starts then."""
    end_s: float
    """It is ended then,"""
    patience_s: NotNegative
    """or so much later if it does not end by itself."""


async def serve(config: CommandLoadConfig, records: RecordWriter) -> None:
    """Run the command in its window; when cancelled, end it and say so."""
    announce_ready(config)
    await asyncio.sleep(max(0.0, config.start_s - time.monotonic()))
    started_s = time.monotonic()
    environment = dict(item.split("=", 1) for item in config.environment)
    row: dict[str, object] = {
        "workload": config.workload,
        "service": config.service,
        "client": config.client,
        "argv": shlex.join(config.argv),
        "due_s": config.start_s,
        "started_s": started_s,
    }
    try:
        command = Command([*config.within, *config.argv], config.folder, environment)
    except ProcessFailure as failure:
        print(failure, file=sys.stderr)
        records.write("commands", {**row, "finished_s": started_s, "outcome": "failed", "last_words": str(failure)})
        return
    outcome = "interrupted"
    try:
        outcome = await _outcome(command, config)
    finally:
        ended_s = time.monotonic()
        code = command.end(_GRACE_S)
        report = tool_parsers.report(config.argv[0], command.said())
        if outcome == "ok" and report.error:  # some tools say so, and exit with 0
            outcome = "failed"
        figures = json.dumps(report.figures) if report.figures else ""
        last = {"figures": figures, "last_words": report.error or command.last_words()}
        row |= {"finished_s": ended_s, "exit_code": code, "outcome": outcome, "output": config.output, **last}
        records.write("commands", row)


async def _outcome(command: Command, config: CommandLoadConfig) -> str:
    code = await command.wait(config.end_s - time.monotonic())
    if code is None and config.patience_s:
        code = await command.wait(config.patience_s)
        if code is None:
            return "overdue"
    if code is None:
        return "ended"
    return "failed" if code else "ok"


if __name__ == "__main__":
    sys.exit(run_recorded(CommandLoadConfig, serve, sys.argv))
