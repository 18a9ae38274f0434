"""The command line put together: its commands by purpose, and what their errors come to.

Exit codes: 0 done, 1 it went wrong, 2 wrong usage or input, 130 interrupted, 141 done but nobody read it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from inspect import cleandoc
from typing import Annotated, Any

import typer

from testbed import __version__
from testbed.cli.alto import group as alto
from testbed.cli.edge import faas
from testbed.cli.experiments import demo, run, sweep, validate
from testbed.cli.files import schema, topology
from testbed.cli.inspection import bindings, inspect
from testbed.cli.machine import bench, calibrate, clean, doctor, test
from testbed.cli.results import check, compare, report
from testbed.cli.trace import group as trace
from testbed.errors import TestbedError
from testbed.terminal import console as terminal
from testbed.terminal import streams

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
_COMMANDS = {
    "Experiments": (demo.demo, validate.validate, run.run, sweep.sweep),
    "Results": (report.report, compare.compare, check.check),
    "A run that is up": (inspect.inspect, bindings.bindings),
    "Edge": (faas.faas,),
    "Files": (topology.topology, schema.schema),
    "This machine": (doctor.doctor, calibrate.calibrate, clean.clean, test.test, bench.bench),
}
_GROUPS = {"alto": (alto, "Alone"), "trace": (trace, "Files")}  # of commands of their own: dyncast alto serve
_CONTEXTS = {"test": {"allow_extra_args": True, "ignore_unknown_options": True}}  # pytest's
_INTERRUPTED = 130


def _flowing(docstring: str) -> str:
    """Return a docstring whose paragraphs fit any terminal: only those that begin with \\b keep their lines."""
    paragraphs = cleandoc(docstring).split("\n\n")
    return "\n\n".join(text if text.startswith("\b") else text.replace("\n", " ") for text in paragraphs)


for _purpose, _commands in _COMMANDS.items():
    for _command in _commands:
        _name = _command.__name__
        app.command(
            rich_help_panel=_purpose, help=_flowing(str(_command.__doc__)), context_settings=_CONTEXTS.get(_name)
        )(_command)
for _name, (_group, _purpose) in _GROUPS.items():
    _commands_of_group = _group.group()
    for _command in _group.COMMANDS:
        _commands_of_group.command(help=_flowing(str(_command.__doc__)))(_command)
    app.add_typer(_commands_of_group, name=_name, rich_help_panel=_purpose)


def _say_version(asked: bool) -> None:
    if asked:
        terminal.document(f"dyncast {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Emulate an edge network, steer real flows by compute and network state (Dyncast/CATS), and measure it.

    \b
    To begin with:
      sudo ./dyncast demo                           What it is for, in two minutes
      sudo ./dyncast run docs/examples/first.yaml   An experiment, to start from
      ./dyncast run --help                          What a command does; examples
    """


def main() -> None:
    """Run the command line and end the process with its exit code."""
    streams.prepare()
    code = streams.exit_code(run_command())
    if why := streams.why_lost():
        terminal.complain(why)
    sys.exit(code)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command (None: that of this process); turn expected errors into one line. Returns the exit code."""
    try:
        code = app(arguments, prog_name="dyncast", standalone_mode=False)
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except TestbedError as error:
        terminal.complain(str(error))
        return error.exit_code
    except OSError as error:
        terminal.complain(str(error))
        return 1
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if said := _usage(error):
            terminal.complain(said)
        return 2
    if code == _INTERRUPTED:
        terminal.complain("interrupted; everything was removed")
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> str:
    """Return what is wrong with a command line, and whose help says how it should be; nothing if that was shown."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "dyncast"
    said = error.format_message().rstrip(".")
    return f"{said}{'' if said.endswith('?') else ';'} see {command} --help" if said else ""
