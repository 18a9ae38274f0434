"""A program that somebody else wrote, as a child: its output, its end, all that it starts, what it uses."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from testbed.runtime import caller
from testbed.runtime.child_command import Command, descendants, has_ended, how_it_ended
from testbed.runtime.lifecycle import ProcessFailure
from testbed.runtime.polling import wait_until

CHECKOUT = Path(__file__).resolve().parents[3]


def _outcome(folder: Path, script: str) -> list[str]:
    """Run a script that owns a command, in a process of its own: it adopts and kills. Return what it prints."""
    code = (
        "import asyncio, os, sys, time\nfrom pathlib import Path\n"
        "from testbed.runtime.child_command import Command, descendants\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + textwrap.dedent(script), str(folder)],
        capture_output=True, text=True, timeout=60, cwd=CHECKOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):  # as an instance that is started again
        command = Command(["sh", "-c", 'echo "$WORD"; pwd; echo end >&2; exit 3'], tmp_path, {"WORD": word})
        assert asyncio.run(command.wait(20)) == 3
        assert command.said() == f"{word}\n{tmp_path}\nend\n"
        assert command.last_words() == f"{word} / {tmp_path} / end"
    assert (tmp_path / "output.log").read_text().count("end\n") == 2


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailure, match="cannot start no-such-program: No such file or directory; is it on PATH"):
        Command(["no-such-program"], tmp_path)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "with code 0"), (7, "with code 7"), (-9, "by SIGKILL"), (-99, "by signal 99")]
)
def test_ends_are_worded(code: int, words: str) -> None:
    assert how_it_ended(code) == words


def test_all_of_it_ends_also_what_ignores_sigterm_and_what_detached_itself(tmp_path: Path) -> None:
    # A daemon: its parent ends, it has a session of its own, and it will not go.
    daemon = (
        "trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' &); while :; do sleep 0.05; done"
    )
    said = _outcome(
        tmp_path,
        f"""
        command = Command(["sh", "-c", {daemon!r}], Path(sys.argv[1]))
        while len(descendants(os.getpid())) < 4:
            time.sleep(0.01)
        pids = descendants(os.getpid())
        print(command.poll(), command.end(0.2), descendants(os.getpid()))
        print(*pids)
        """,
    )
    assert said[0] == "None -9 []"
    assert all(map(has_ended, map(int, said[1].split())))


def test_a_command_that_is_asked_to_end_may_do_so_in_order(tmp_path: Path) -> None:
    obedient = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done"
    said = _outcome(
        tmp_path,
        f"""
        command = Command(["sh", "-c", {obedient!r}], Path(sys.argv[1]))
        while "up" not in command.said():
            time.sleep(0.01)
        print(command.end(20), command.said().split()[-1])
        """,
    )
    assert said == ["5 bye"]


def test_cpu_time_is_that_of_all_also_of_what_ended(tmp_path: Path) -> None:
    spin = tmp_path / "spin.py"
    spin.write_text("import time\nwhile time.process_time() < 0.15: pass\n")
    twice = f"{sys.executable} {spin}; ({sys.executable} {spin} &); sleep 60"
    said = _outcome(
        tmp_path,
        f"""
        command = Command(["sh", "-c", {twice!r}], Path(sys.argv[1]))
        deadline_s = time.monotonic() + 30
        while command.cpu_s() < 0.25 and time.monotonic() < deadline_s:
            command.poll()
            time.sleep(0.01)
        print(command.cpu_s() >= 0.25, command.memory_bytes() > 0)
        command.end(0.1)
        print(command.cpu_s() >= 0.25, command.memory_bytes())
        """,
    )
    assert said == ["True True", "True 0"]


def test_the_command_runs_with_the_usual_priority(tmp_path: Path) -> None:
    command = Command([sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"], tmp_path)
    assert asyncio.run(command.wait(30)) == 0
    assert command.said() == "0\n"


def test_descendants_are_found_over_generations() -> None:
    with subprocess.Popen(["sh", "-c", "sh -c 'sleep 60; :'; :"], start_new_session=True) as child:
        try:
            wait_until(lambda: len(descendants(child.pid)) == 2, what="the grandchild")
            assert set(descendants(child.pid)) <= set(descendants(os.getpid()))
        finally:
            os.killpg(child.pid, 9)


_AS_NOBODY = """
from testbed.runtime import caller
user = caller.sudo_user()
os.chown(sys.argv[1], *user)
script = "id -u; id -g; grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status | cut -f 2 | uniq; echo $HOME; exec sleep 60"
command = Command([*caller.run_as(user), "sh", "-c", script], Path(sys.argv[1]), caller.home_of(user))
while "/" not in command.said():
    time.sleep(0.01)
print(command.said(), end="")
print(command.end(2))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_command_runs_as_who_called_sudo_without_privileges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setenv(caller.OWNER_VARIABLE, f"{nobody.pw_uid}:{nobody.pw_gid}")
    uid, gid, capabilities, home, code = _outcome(tmp_path, _AS_NOBODY)
    assert (int(uid), int(gid), home) == (nobody.pw_uid, nobody.pw_gid, nobody.pw_dir)
    assert (int(capabilities, 16), int(code)) == (0, -signal.SIGTERM)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_command_of_another_user_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(caller.OWNER_VARIABLE, "65534:65534")
    (pid,) = _outcome(
        tmp_path,
        """
        from testbed.runtime import caller
        script = "echo $$; exec sleep 600"
        command = Command([*caller.run_as(caller.sudo_user()), "sh", "-c", script], Path(sys.argv[1]))
        while not command.said():
            time.sleep(0.01)
        print(command.said(), end="", flush=True)
        os._exit(0)
        """,
    )
    wait_until(lambda: has_ended(int(pid)), 20, "the command to end")


@pytest.mark.parametrize(("owner", "user"), [("", None), ("0:0", None), ("1000:100", (1000, 100)), ("x:1", None)])
def test_only_a_user_who_is_not_root_has_called_sudo(
    monkeypatch: pytest.MonkeyPatch, owner: str, user: tuple[int, int] | None
) -> None:
    monkeypatch.setenv(caller.OWNER_VARIABLE, owner)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert caller.sudo_user() == user
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert caller.sudo_user() is None


@pytest.mark.parametrize("kind", ["link", "pipe", "another name"])
def test_output_goes_to_a_file_of_its_own_alone(tmp_path: Path, kind: str) -> None:
    (elsewhere := tmp_path / "elsewhere").write_text("as it was")
    (folder := tmp_path / "folder").mkdir()
    if kind == "link":
        (folder / "output.log").symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(folder / "output.log")
    else:
        (folder / "output.log").hardlink_to(elsewhere)
    with pytest.raises(ProcessFailure, match=r"output\.log"):
        Command(["echo", "said"], folder)
    assert elsewhere.read_text() == "as it was"
