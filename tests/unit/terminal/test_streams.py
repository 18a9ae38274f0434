"""A command goes on to its end and leaves what it should, whatever terminal, reader or encoding it has."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
# A run's words, as runs say them; what it leaves is a file. Its last words come when its reader may have gone.
_RUN = """
import sys, time
from pathlib import Path
from rich.table import Table
from testbed.terminal import console, streams
streams.prepare()
from testbed.experiment.progress import InstanceLoad, Terminal
screen = console.output()
with Terminal(screen).showing() as terminal:
    terminal.phase("network of Köln · started")
    console.complain("a warning …")
    with streams.never_waiting():
        for second in range(int(sys.argv[2])):
            terminal.load(second * 10.0, 100.0, [InstanceLoad("render@Köln", 1, 2, 3, 4, 5, 6, 0.5, 0.0)])
    Path(sys.argv[1] + ".traffic").write_text("over")
    terminal.phase("ending the run")
table = Table("instance", "busy", title="Instances")
table.add_row("render@Köln", "█░▒")
screen.print(table)
Path(sys.argv[1]).write_text("whole")
sys.exit(streams.exit_code(0))
"""
_WORDS = 3000  # more than a pipe holds: its reader has gone, or has read, before all is said


def _command(left: Path, words: int = _WORDS) -> list[str]:
    program = left.with_suffix(".py")
    program.write_text(f"import sys\nsys.path.insert(0, {str(_ROOT)!r})\n{_RUN}", encoding="utf-8")
    return [sys.executable, str(program), str(left), str(words)]


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return tmp_path / "left"


def _run(left: Path, shell: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as a shell does by a line in which "$@" stands for it."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell, "bash", *_command(left)],
        cwd=_ROOT, env={**os.environ, **environment}, capture_output=True, text=True, errors="replace", timeout=60,
        check=False,
    )  # fmt: skip
    assert left.read_text() == "whole", done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ('"$@" | head -n 1', 141),
        ('"$@" | true', 141),
        ('"$@" >&-', 0),
        ('"$@" 2>&-', 0),
        ('"$@" <&- >&- 2>&-', 0),
        ('"$@" >/dev/null 2>&1', 0),
        ('"$@" >/dev/full', 1),
        ('"$@" 2>/dev/full', 0),
        ('"$@" 2> >(true)', 0),
        ('"$@" 0>&-', 0),
    ],
)
def test_whatever_becomes_of_its_words(shell: str, code: int, left: Path) -> None:
    assert _run(left, shell).returncode == code


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "nowhere"},
        {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "utf-16"},
        {"COLUMNS": "1"}, {"COLUMNS": "0"}, {"COLUMNS": "-5"}, {"COLUMNS": "99999"},
        {"COLUMNS": "wide", "LINES": "tall"},
        {"TERM": "dumb"}, {"TERM": ""}, {"TERM": "no-such-terminal"}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("on_terminal", [True, False])
def test_whatever_terminal_it_has(environment: dict[str, str], on_terminal: bool, left: Path) -> None:
    if not on_terminal:
        assert _run(left, '"$@" | cat', **environment).returncode == 0
        return
    master, slave = pty.openpty()
    process = subprocess.Popen(
        _command(left), cwd=_ROOT, env={**os.environ, **environment}, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    assert b"Traceback" not in _read_all(master)
    assert process.wait(60) == 0
    assert left.read_text() == "whole"


def test_a_terminal_that_is_closed_meanwhile(left: Path) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(_command(left), cwd=_ROOT, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.read(master, 1)
    os.close(master)
    assert process.wait(60) == 1  # its words were lost, by an error of the device
    assert left.read_text() == "whole"


def test_a_reader_that_stands_still_is_not_waited_for_while_there_is_traffic(left: Path) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(_command(left, 3000), cwd=_ROOT, stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    _wait_until(lambda: os.read(reading, 1) != b"")  # it has begun, and will fill the pipe
    _wait_until(Path(f"{left}.traffic").exists)
    assert not left.exists()  # now it waits: what was worked out shall be read
    said = _read_all(reading)
    assert process.wait(60) == 0
    assert left.read_text() == "whole"
    assert b"Instances" in said  # cut, perhaps, within a character
    assert said.count(b"render@") < 3000


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def _read_all(descriptor: int) -> bytes:
    """Return what comes until nobody writes any more."""
    said = b""
    while True:
        try:
            octets = os.read(descriptor, 65536)
        except OSError:  # so a terminal says it
            octets = b""
        if not octets:
            os.close(descriptor)
            return said
        said += octets


def test_a_descriptor_that_was_closed_is_not_taken_by_a_file(tmp_path: Path) -> None:
    program = "from testbed.terminal import streams; streams.prepare(); print(open(__file__).fileno())"
    path = tmp_path / "program.py"
    path.write_text(f"import sys; sys.path.insert(0, {str(_ROOT)!r}); {program}")
    done = subprocess.run(
        ["bash", "-c", '"$@" <&- 2>&-', "bash", sys.executable, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 2
