"""The owner of a run: alive or dead only where that is proved, from its own container or from another."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from testbed.emulation import run_owner
from testbed.emulation.run_owner import Life, RunOwner

OWN = RunOwner.this_process()
ELSEWHERE = replace(OWN, pid_namespace=1, net_namespace=2)


@pytest.fixture
def tag() -> str:
    return secrets.token_hex(2)


def test_an_owner_is_read_back_as_it_was_written() -> None:
    assert RunOwner.parse(str(OWN)) == OWN
    for text in ("", "ab12", "boot/1/2/3", "boot/1/2/3/x", "boot/1/2/3/-4", "boot/1/2/3/4/5"):
        assert RunOwner.parse(text) is None


@pytest.mark.parametrize(
    ("change", "life"),
    [
        ({}, Life.ALIVE),
        ({"start_ticks": 1}, Life.DEAD),
        ({"pid": 2**22 + 1}, Life.DEAD),
        ({"boot_id": "another boot"}, Life.DEAD),
    ],
    ids=["this process", "reused process id", "no such process", "before a reboot"],
)
def test_an_owner_of_the_same_container_is_looked_up_by_its_id(tag: str, change: dict[str, object], life: Life) -> None:
    assert replace(OWN, **change).life(tag) is life  # type: ignore[arg-type]


def test_an_owner_whose_processes_are_not_seen_lives_as_long_as_its_sign_is_seen(tag: str) -> None:
    owner = replace(OWN, pid_namespace=1)
    assert owner.life(tag) is Life.DEAD
    sign = run_owner.hold_sign(tag)
    assert sign is not None
    assert owner.life(tag) is Life.ALIVE
    assert run_owner.hold_sign(tag) is None  # one run of a name
    sign.close()
    assert owner.life(tag) is Life.DEAD


def test_a_sign_goes_with_its_process_however_it_ends(tag: str) -> None:
    script = (
        "import sys, time; from testbed.emulation import run_owner; sign = run_owner.hold_sign(sys.argv[1]); "
        "print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tag], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert run_owner.sign_of_life(tag) is Life.ALIVE
        holder.kill()
    assert run_owner.sign_of_life(tag) is Life.DEAD


def test_nothing_is_proved_of_an_owner_of_which_nothing_is_seen(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_owner, "_FIRST_PID_NAMESPACE", 0)  # as in a container
    assert ELSEWHERE.life(tag) is Life.UNKNOWN
    monkeypatch.setattr(run_owner, "_FIRST_PID_NAMESPACE", OWN.pid_namespace)  # as where all processes are seen
    assert ELSEWHERE.life(tag) is Life.DEAD


@pytest.fixture
def contained() -> Iterator[subprocess.Popen[str]]:
    if os.geteuid() != 0:
        pytest.skip("capability root is missing: no PID namespace can be made")
    script = "from testbed.emulation.run_owner import RunOwner as O; print(O.this_process(), flush=True); input()"
    inside = ["unshare", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", script]
    with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_an_owner_in_a_container_below_is_found_among_its_processes(tag: str, contained: subprocess.Popen[str]) -> None:
    assert contained.stdout is not None
    owner = RunOwner.parse(contained.stdout.readline().strip())
    assert owner is not None and owner.pid_namespace != OWN.pid_namespace
    assert owner.life(tag) is Life.ALIVE
    assert replace(owner, pid=owner.pid + 1).life(tag) is Life.DEAD


def test_a_zombie_is_no_live_process() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not yet collected
    assert run_owner.start_ticks(child.pid) is None
    child.wait()
