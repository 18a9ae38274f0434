"""Daemons of Open vSwitch that end and come back, played by programs of their names."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.emulation.switches.daemons import NAMES, DaemonEnd, Daemons
from testbed.runtime.polling import wait_until

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        if not program.exists():
            shutil.copy(shutil.which("sleep") or "", program)
        running.append(subprocess.Popen([str(program), "60"]))
        comm = Path(f"/proc/{running[-1].pid}/comm")
        wait_until(lambda: comm.read_text().strip() == name, what="the program")
        (tmp_path / f"{name}.pid").write_text(f"{running[-1].pid}\n")
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def test_daemons_that_go_on_are_not_worth_a_word(start: Start, tmp_path: Path) -> None:
    for name in NAMES:
        start(name)
    daemons = Daemons(tmp_path)
    daemons.look(10.0)
    assert (daemons.ends, daemons.unwatched) == ([], ())
    daemons.close()


def test_one_that_ends_and_is_back_is_noted_with_both_times(start: Start, tmp_path: Path) -> None:
    first, _ = (start(name) for name in NAMES)
    daemons = Daemons(tmp_path)
    first.kill()
    first.wait()
    daemons.look(10.0)
    daemons.look(11.0)
    assert daemons.ends == [DaemonEnd(NAMES[0], 10.0)]  # its file still names the dead one
    again = start(NAMES[0])
    daemons.look(12.0)
    daemons.look(13.0)
    assert daemons.ends == [DaemonEnd(NAMES[0], 10.0, 12.0)]
    again.kill()
    again.wait()
    daemons.look(14.0)
    assert daemons.ends[1] == DaemonEnd(NAMES[0], 14.0)
    daemons.close()


def test_one_that_was_replaced_between_two_looks_has_ended(start: Start, tmp_path: Path) -> None:
    first, _ = (start(name) for name in NAMES)
    daemons = Daemons(tmp_path)
    first.kill()
    first.wait()
    start(NAMES[0])
    daemons.look(10.0)
    assert daemons.ends == [DaemonEnd(NAMES[0], 10.0, 10.0)]
    daemons.close()


def test_one_that_is_not_found_is_said_so(start: Start, tmp_path: Path) -> None:
    start(NAMES[0])
    daemons = Daemons(tmp_path)
    assert daemons.unwatched == (NAMES[1],)
    daemons.close()


def test_one_of_another_container_is_known_by_its_pid_file(tmp_path: Path) -> None:
    path = tmp_path / f"{NAMES[0]}.pid"
    path.write_text("1\n")  # another process has this number here
    daemons = Daemons(tmp_path)
    daemons.look(10.0)
    assert daemons.ends == []
    path.unlink()
    daemons.look(11.0)
    assert daemons.ends == [DaemonEnd(NAMES[0], 11.0)]
    path.write_text("1\n")
    daemons.look(12.0)
    assert daemons.ends == [DaemonEnd(NAMES[0], 11.0, 12.0)]
    daemons.close()
