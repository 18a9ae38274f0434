"""Processes forked from a warm parent behave as if the one who asks had started each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.runtime.child_command import descendants, has_ended
from testbed.runtime.forked_process import ForkedProcess, ForkServer
from testbed.runtime.polling import wait_until

_SLEEPER = "tests.obedient_process"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    server = ForkServer({**os.environ, "COLOUR": "blue"}, tmp_path / "server.log")
    yield server
    server.close()


def _start(server: ForkServer, folder: Path, module: str = _SLEEPER, *arguments: str, **how: object) -> ForkedProcess:
    with (folder / "log").open("ab") as log:
        return server.start(module, arguments or [str(folder / "it.json")], log.fileno(), **how)  # type: ignore[arg-type]


def _sleeper(server: ForkServer, folder: Path) -> ForkedProcess:
    (folder / "it.ready").unlink(missing_ok=True)
    child = _start(server, folder)
    wait_until((folder / "it.ready").exists, 10, "a process that is ready")
    return child


def _proc(child: ForkedProcess, name: str) -> bytes:
    return Path(f"/proc/{child.pid}/{name}").read_bytes()


def test_it_is_a_child_of_who_asks_with_a_session_and_a_title_of_its_own(server: ForkServer, tmp_path: Path) -> None:
    child = _sleeper(server, tmp_path)
    assert _proc(child, "stat").rpartition(b")")[2].split()[1] == str(os.getpid()).encode()
    assert os.getsid(child.pid) == child.pid
    command = _proc(child, "cmdline").rstrip(b"\0").split(b"\0")
    assert command == [os.fsencode(word) for word in (sys.executable, "-m", _SLEEPER, str(tmp_path / "it.json"))]
    assert b"COLOUR=blue" in _proc(child, "environ")
    child.kill()
    assert child.wait(10) == -signal.SIGKILL


def test_it_ends_with_its_exit_code(server: ForkServer, tmp_path: Path) -> None:
    child = _sleeper(server, tmp_path)
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == child.poll() == 0
    child.send_signal(signal.SIGTERM)  # it is no more: nobody else is meant


def test_a_configuration_that_is_no_use_ends_it_as_it_would_by_hand(server: ForkServer, tmp_path: Path) -> None:
    child = _start(server, tmp_path, "testbed.agents.metric_agent", "nowhere.json")
    assert child.wait(20) == 2
    assert (tmp_path / "log").read_text() == "nowhere.json: cannot be read: No such file or directory\n"


def test_a_module_that_does_not_exist_fails_in_its_own_log(server: ForkServer, tmp_path: Path) -> None:
    assert _start(server, tmp_path, "testbed.no_such_module").wait(20) == 1
    assert "No module named testbed.no_such_module" in (tmp_path / "log").read_text()
    _sleeper(server, tmp_path).kill()  # the parent goes on


def test_it_has_the_descriptors_that_it_is_passed_by_their_numbers(server: ForkServer, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    others, unused = socket.socketpair()
    with ours, theirs, others, unused:
        numbers = [theirs.fileno(), others.fileno()]
        child = _start(server, tmp_path, pass_fds=numbers)
        links = {number: Path(f"/proc/self/fd/{number}").readlink() for number in numbers}
        wait_until((tmp_path / "it.ready").exists, 10, "a process that is ready")
        opened = {int(path.name): path.readlink() for path in Path(f"/proc/{child.pid}/fd").iterdir()}
        assert {number: opened[number] for number in numbers} == links
        assert opened.keys() == {0, 1, 2, *numbers}
    child.kill()


def test_who_asks_takes_it_along_when_killed(tmp_path: Path) -> None:
    source = (
        "import sys; from pathlib import Path; from testbed.runtime.forked_process import ForkServer\n"
        "folder = Path(sys.argv[1]); server = ForkServer({}, folder / 'server.log')\n"
        "child = server.start('tests.obedient_process', [str(folder / 'it.json')], 1)\n"
        "print(child.pid, flush=True); input()"
    )
    argv = [sys.executable, "-c", source, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        wait_until((tmp_path / "it.ready").exists, 10, "a process that is ready")
        left = descendants(starter.pid)
        assert pid in left and len(left) == 2  # and its parent's
        starter.kill()
        wait_until(lambda: all(map(has_ended, left)), 10, "the end of all")


def test_a_parent_that_was_killed_is_replaced_and_missed_by_nobody(server: ForkServer, tmp_path: Path) -> None:
    child = _sleeper(server, tmp_path)
    (parent,) = [pid for pid in descendants(os.getpid()) if b"fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: has_ended(parent), 10, "its end")
    other = _sleeper(server, tmp_path)
    assert child.poll() is None
    for process in (child, other):
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_orphans_of_others_are_not_taken_in(server: ForkServer, tmp_path: Path) -> None:
    _sleeper(server, tmp_path).kill()
    orphan = subprocess.run(
        ["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
    ).stdout.strip()
    parent = Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(orphan), signal.SIGKILL)
    assert parent != str(os.getpid())
