"""What is printed is what it is: no markup, no control character of somebody else's reaches the terminal."""

from __future__ import annotations

import ast
import io
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from testbed.experiment.live.terminal import LiveTerminal
from testbed.experiment.progress import InstanceLoad, Terminal
from testbed.experiment.study.sweep_progress import SweepTerminal
from testbed.terminal import console
from testbed.terminal.console import Screen
from tests.scenarios import small_plan

_ROOT = Path(__file__).parents[3]
_NAMES = [
    "results [draft]",
    "y[/old]",
    "[bold]x",
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "a\rb",
    "\x9b2J",
    "\u202ecba",
    "é:smile:",
]
# They write to the log of a process, or are the test runner itself.
_PRINT = {
    "testbed/runtime/fork_server.py",
    "testbed/runtime/lifecycle.py",
    "testbed/agents/cluster/sandboxes/__main__.py",
    "testbed/agents/command_instance/process.py",
    "testbed/runtime/message_errors.py",
    "testbed/emulation/relay/process.py",
    "traffic/loads/command_load.py",
    "testbed/cli/machine/run_tests.py",
}


def _printed(*shown: object, width: int = 200) -> str:
    file = io.StringIO()
    screen = Screen(file=file, width=width)
    for item in shown:
        screen.print(item)
    return file.getvalue()


def _sends_nothing(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" or unicodedata.category(sign) == "Zs" for sign in text)


@pytest.mark.parametrize("name", _NAMES)
def test_a_name_is_shown_as_it_is_wherever_it_stands(name: str) -> None:
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    table.add_row(Text(name))
    shown = _printed(name, Text(name), table, console.step(name))
    assert _sends_nothing(shown)
    assert shown.count(console.visible(name).replace("\r", "")) >= 4 or "\r" in name


@given(st.text(st.characters(blacklist_categories=[])) | st.text("[/]bold \x1b\x9b;m\r\n\t:"), st.integers(1, 100))
def test_nothing_but_printable_characters_and_ends_of_lines_is_sent(text: str, width: int) -> None:
    table = Table(text)
    table.add_row(text)
    assert _sends_nothing(_printed(text, Text(text), table, width=width).expandtabs())


@given(st.text(string.printable + "äß€[]"))
def test_one_line_is_one(text: str) -> None:
    assert console.one_line(text).isprintable()


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain("cannot read 'a\nb[/x]\x1b[1m'")
    assert capsys.readouterr().err == "dyncast: cannot read 'a\\nb[/x]\\x1b[1m'\n"


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_every_view_of_a_run_shows_names_as_they_are(name: str, is_terminal: bool) -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=200, force_terminal=is_terminal, color_system=None)
    loads = [InstanceLoad(name, 1, 2, 3, 4, 5, 6, 0.5, 0.0)]
    with Terminal(screen).showing() as terminal:
        terminal.phase(name)
        terminal.load(1.0, 2.0, loads)
    with LiveTerminal(small_plan(), screen).showing() as live:
        live.phase(name)
    with SweepTerminal(screen).showing() as sweep:
        sweep.phase(name)
    # What remains are the moves of the cursor, which are rich's.
    moves = ["\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[1A", "\x1b[0m", "\r"]
    shown = file.getvalue()
    for move in moves:
        shown = shown.replace(move, "")
    assert _sends_nothing(shown), repr(shown)


def test_nobody_prints_elsewhere() -> None:
    found = [
        f"{path.relative_to(_ROOT)}:{node.lineno}: {what}"
        for package in ("testbed", "topologies", "traffic", "ryu_apps")
        for path in sorted((_ROOT / package).rglob("*.py"))
        # Programs under another licence are started, and hand over packets by their standard output.
        if path.parent not in (_ROOT / "testbed" / "terminal", _ROOT / "traffic" / "scapy_programs")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (what := _prints(node)) and not (what == "print" and str(path.relative_to(_ROOT)) in _PRINT)
    ]
    assert found == []


def _prints(node: ast.AST) -> str:
    """Return by what a node of code prints, or would have markup read; empty if by nothing."""
    match node:
        case ast.Call(func=ast.Name(id=("print" | "Console") as name)):
            return name
        case ast.Call(func=ast.Attribute(attr=("from_markup" | "from_ansi" | "render_markup") as name)):
            return name
        case ast.Attribute(
            value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr="write" | "buffer"
        ):
            return "sys"
        case ast.ImportFrom(module="rich.markup") | ast.Import(names=[ast.alias(name="rich.markup")]):
            return "rich.markup"
        case ast.ImportFrom(module="rich", names=names) if any(alias.name == "print" for alias in names):
            return "rich.print"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="click" | "typer"), attr="echo" | "secho")):
            return "echo"
        case ast.keyword(arg="markup"):
            return "markup="
    return ""
