"""Cleaning up after runs: all of a dead run goes, whatever is not tagged or still alive stays."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.emulation import cleanup, remains, run_tag
from testbed.emulation import tagged_processes as processes
from testbed.emulation.run_owner import RunOwner, start_ticks
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches import bridges, ct_zones
from testbed.runtime.polling import wait_until

pytestmark = pytest.mark.root

# A run without a network of nodes: everything of which clean-up must find the owner, made by hand.
_OWNER = """
import subprocess, sys, time
from pathlib import Path
from testbed.emulation.switches import bridges, ct_zones
from testbed.emulation import run_tag
tag = run_tag.claim("a run to be killed")
subprocess.run(["ip", "link", "add", tag.port(0), "type", "veth", "peer", "name", tag.port(1)], check=True)
bridge = bridges.Bridge(tag.bridge(0), 1, 1, {}, {1: tag.port(0)})
bridges.create_bridges([bridge], tag, datapath_type="netdev")
run_tag.record_bridges(tag, [bridge.name])
ct_zones.claim([30, 5], tag, datapath_type="netdev")
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
family = "trap '' TERM; sleep 600 & echo up; wait"
for argv in (["sleep", "600"], [sys.executable, "-c", stubborn], ["sh", "-c", family]):
    child = subprocess.Popen(argv, env=tag.environment, start_new_session=True, stdout=subprocess.PIPE)
    if argv[0] != "sleep":
        child.stdout.readline()
print(tag, flush=True)
time.sleep(600)
"""


def _start_owner() -> tuple[subprocess.Popen[str], RunTag]:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert owner.stdout is not None
    return owner, RunTag(owner.stdout.readline().strip())


@pytest.fixture
def foreign_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "DYNCAST_RUN": "not-a-tag"}) as process:
        yield process
        process.kill()


@pytest.fixture
def foreign_bridge() -> Iterator[str]:
    name = f"foreign-{secrets.token_hex(2)}"
    set_type = ["--", "set", "Bridge", name, "datapath_type=netdev", "external_ids:dyncast-run=x"]
    subprocess.run(["ovs-vsctl", "add-br", name, *set_type], check=True)
    yield name
    subprocess.run(["ovs-vsctl", "--if-exists", "del-br", name], check=True)


@pytest.fixture
def foreign_interface() -> Iterator[str]:
    name = f"dyx-{secrets.token_hex(2)}"
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=False)


@pytest.fixture
def owner_started() -> Iterator[Callable[[], tuple[subprocess.Popen[str], RunTag]]]:
    started: list[tuple[subprocess.Popen[str], RunTag]] = []

    def start() -> tuple[subprocess.Popen[str], RunTag]:
        started.append(_start_owner())
        return started[-1]

    yield start
    for owner, tag in started:
        owner.kill()
        owner.wait()
        cleanup.clean(tags=[tag])


def test_a_killed_run_is_removed_and_strangers_stay(
    owner_started: Callable[[], tuple[subprocess.Popen[str], RunTag]],
    foreign_process: subprocess.Popen[bytes],
    foreign_bridge: str,
    foreign_interface: str,
) -> None:
    owner, tag = owner_started()
    before = remains.of(tag)
    assert before is not None
    assert len(before.processes) == 4
    assert before.bridges == (tag.bridge(0),)
    assert set(before.interfaces) == {tag.port(0), tag.port(1)}
    assert len({zone.number for zone in before.zones}) == 2
    owner.kill()
    owner.wait()

    report = cleanup.clean(tags=[tag])

    assert report.problems == []
    assert report.runs == [tag.value]
    assert (report.processes, report.bridges) == (4, [tag.bridge(0)])
    assert remains.of(tag) is None
    assert tag not in run_tag.registrations()
    assert foreign_process.poll() is None
    interfaces = {name for _, name in socket.if_nameindex()}
    assert foreign_interface in interfaces
    listed = subprocess.run(["ovs-vsctl", "list-br"], capture_output=True, text=True, check=True).stdout.split()
    assert foreign_bridge in listed
    assert tag.bridge(0) not in listed
    assert str(cleanup.clean(tags=[tag])) == "nothing to clean"


def test_a_live_run_stays_unless_it_is_asked_for(
    owner_started: Callable[[], tuple[subprocess.Popen[str], RunTag]],
) -> None:
    owner, tag = owner_started()
    before = remains.of(tag)
    assert before is not None

    assert cleanup.clean(only_dead=True).problems == []
    assert owner.poll() is None
    after = remains.of(tag)
    assert after is not None
    assert (after.bridges, after.interfaces) == (before.bridges, before.interfaces)
    assert {process.pid for process in after.processes} == {process.pid for process in before.processes}

    report = cleanup.clean(only_dead=False, tags=[tag])
    assert report.problems == []
    assert owner.wait() == -signal.SIGTERM
    assert remains.of(tag) is None


def test_remains_without_a_registration_are_found_by_their_tag(
    owner_started: Callable[[], tuple[subprocess.Popen[str], RunTag]],
) -> None:
    owner, tag = owner_started()
    owner.kill()
    owner.wait()
    run_tag.release(tag)
    report = cleanup.clean(tags=[tag])
    assert report.runs == [tag.value]
    assert remains.of(tag) is None


def test_a_registration_alone_is_removed() -> None:
    script = "from testbed.emulation import run_tag; print(run_tag.claim('at once over'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    tag = RunTag(done.stdout.strip())
    assert tag in run_tag.registrations()
    assert str(cleanup.clean(tags=[tag])) == f"removed run {tag}: its registration"
    assert tag not in run_tag.registrations()


def test_control_groups_of_the_run_go_with_what_is_below_them() -> None:
    hierarchy = next((path for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu")) if _can_group(path)), None)
    if hierarchy is None:
        pytest.skip("capability cgroup is missing: no writable control group hierarchy")
    tag = RunTag(secrets.token_hex(2))
    group = hierarchy / tag.cgroup
    (group / "instance-1").mkdir(parents=True)
    left = cleanup.clean(tags=[tag])
    assert left.runs == [] and group.exists()
    assert left.left == [f"run {tag} of an unknown owner: nothing here proves that it is over, so it stays"]

    dead = replace(RunOwner.this_process(), start_ticks=1)
    os.setxattr(group, "trusted.dyncast-run-owner", str(dead).encode())
    report = cleanup.clean(tags=[tag])
    assert report.problems == []
    assert report.cgroups == [str(hierarchy / tag.cgroup)]
    assert not (hierarchy / tag.cgroup).exists()


def test_cleaning_never_ends_itself_or_its_ancestors() -> None:
    tag = RunTag(secrets.token_hex(2))
    script = (
        "import subprocess, sys\n"
        "inner = 'from testbed.emulation import cleanup; print(cleanup.clean().problems)'\n"
        "sys.exit(subprocess.run([sys.executable, '-c', inner]).returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **tag.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


# Again and again another program, and the same process.
_BECOMES_ANOTHER = ["perl", "-e", "exec $^X, '-e', $ARGV[0], $ARGV[0]", "exec $^X, '-e', $ARGV[0], $ARGV[0]"]


def test_a_process_is_the_same_and_seen_while_it_becomes_another_program() -> None:
    tag = RunTag(secrets.token_hex(2))
    with subprocess.Popen(_BECOMES_ANOTHER, env={**os.environ, **tag.environment}) as changing:
        ticks = start_ticks(changing.pid)
        assert ticks is not None
        try:
            for _ in range(200):
                assert processes.tagged_processes().get(tag) == [processes.Process(changing.pid, ticks)]
        finally:
            changing.kill()


def test_a_process_without_an_environment_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "600"], env={}) as bare:
        process = Path(f"/proc/{bare.pid}")
        wait_until(lambda: (process / "comm").read_text() == "sleep\n", 10, "the program")
        monkeypatch.setattr(processes.time, "sleep", lambda _: pytest.fail("it waits"))
        assert processes._environment(process) == b""
        bare.kill()


def test_a_signal_never_reaches_a_reused_process_id() -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        ticks = start_ticks(stranger.pid)
        assert ticks is not None
        assert processes.end([processes.Process(stranger.pid, ticks - 1)], grace_s=5.0) == []
        assert stranger.poll() is None
        assert processes.end([processes.Process(stranger.pid, ticks)], grace_s=5.0) == []
        assert stranger.wait() == -signal.SIGTERM


def test_a_child_started_while_its_parent_is_ended_goes_too() -> None:
    tag = RunTag(secrets.token_hex(2))
    script = "trap 'sleep 600 & exit' TERM; echo up; while :; do sleep 0.01; done"
    with subprocess.Popen(
        ["bash", "-c", script], env={**os.environ, **tag.environment}, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        report = cleanup.clean_run(tag)
        shell.stdout.close()
    assert report.problems == []
    wait_until(lambda: tag not in processes.tagged_processes(), what="the end of all tagged processes")


def test_open_vswitch_forgets_soon_while_there_are_bridges_and_keeps_what_others_set() -> None:
    def setting() -> str:
        return bridges.vsctl("--if-exists", "get", "Open_vSwitch", ".", "other_config:max-idle").strip()

    tag = run_tag.claim("test")
    bridge = bridges.Bridge(tag.bridge(0), 1, 1, {}, {1: tag.port(0)})
    subprocess.run(["ip", "link", "add", tag.port(0), "type", "veth", "peer", "name", tag.port(1)], check=True)
    try:
        bridges.create_bridges([bridge], tag, datapath_type="netdev")
        assert setting() == '"999"'
        bridges.delete_bridges([bridge.name])
        assert setting() == "" or bridges.running_bridges()  # of other tests

        bridges.vsctl("set", "Open_vSwitch", ".", "other_config:max-idle=5000")
        bridges.create_bridges([bridge], tag, datapath_type="netdev")
        bridges.delete_bridges([bridge.name])
        assert setting() == '"5000"'
    finally:
        cleanup.clean_run(tag)
        bridges.vsctl("remove", "Open_vSwitch", ".", "other_config", "max-idle=5000")


def test_open_vswitch_is_changed_in_an_order_that_leaves_nothing_unowned_whenever_somebody_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []
    call = bridges._call

    def noted(command: list[str]) -> str:
        asked.append(command)
        return call(command)

    def changes() -> list[list[str]]:
        found = [command for command in asked if {"create", "set", "destroy", "del-br"} & {*command}]
        asked.clear()
        return found

    monkeypatch.setattr(bridges, "_call", noted)
    tag = run_tag.claim("test")
    subprocess.run(["ip", "link", "add", tag.port(0), "type", "veth", "peer", "name", tag.port(1)], check=True)
    try:
        bridge = bridges.Bridge(tag.bridge(0), 1, 1, {}, {1: tag.port(0)})
        bridges.create_bridges([bridge], tag, datapath_type="netdev")
        assert len(changes()) == 1
        (number,) = ct_zones.claim([30], tag, datapath_type="netdev")
        made, _of_its_timeouts = changes()
        assert f"ct_zones:{number}=@z0" in made
        ct_zones.remove([zone for zone in ct_zones.zones() if zone.tag == tag])
        assert len([command for command in asked if "remove" in command]) == 1
        asked.clear()
        bridges.delete_bridges([bridge.name])
        queues, gone = changes()
        assert "destroy" in queues and "del-br" in gone
    finally:
        cleanup.clean_run(tag)
    assert remains.of(tag) is None


def test_open_vswitch_errors_are_one_line() -> None:
    with pytest.raises(bridges.BridgeError) as caught:
        bridges.create_bridges(
            [bridges.Bridge("dy-no-such", 1, 1, {}, {1: "no-such-if"})], RunTag("ffff"), datapath_type="netdev"
        )
    bridges.delete_bridges(["dy-no-such"])
    assert "no-such-if" in str(caught.value)
    assert "\n" not in str(caught.value)


def _can_group(hierarchy: Path) -> bool:
    probe = hierarchy / f"dyncast-probe-{secrets.token_hex(4)}"
    with suppress(OSError):
        probe.mkdir()
        made = (probe / "cgroup.procs").exists()
        probe.rmdir()
        return made
    return False


def test_the_processes_of_a_container_are_left_alone() -> None:
    tag = RunTag("fade")
    inside = ["unshare", "--pid", "--fork", "--kill-child", "sleep", "600"]
    with subprocess.Popen(inside, env={**os.environ, **tag.environment}) as container:
        try:

            def child() -> str:
                return Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().strip()

            pid = int(wait_until(child, 10, "the process inside"))
            found = [process.pid for process in processes.tagged_processes().get(tag, [])]
            assert container.pid in found  # out here
            assert pid not in found
        finally:
            container.kill()


# With a register of its own, as another container has it.
_CLEAN_ELSEWHERE = """
mkdir -p /run/dyncast && mount -t tmpfs none /run/dyncast
exec "$0" -c 'from testbed.emulation import cleanup; found = cleanup.clean(); print(*found.runs, *found.problems)'
"""


@pytest.mark.parametrize("namespaces", [["--mount"], ["--mount", "--pid", "--fork", "--mount-proc"]], ids=" ".join)
def test_a_live_run_stays_when_somebody_cleans_in_another_container(
    owner_started: Callable[[], tuple[subprocess.Popen[str], RunTag]], namespaces: list[str]
) -> None:
    owner, tag = owner_started()
    before = remains.of(tag)
    done = subprocess.run(
        ["unshare", *namespaces, "bash", "-c", _CLEAN_ELSEWHERE, sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tag.value not in done.stdout.split()  # dead runs of others may be there
    assert owner.poll() is None
    assert remains.of(tag) == before


def test_what_a_dead_container_left_in_open_vswitch_is_removed() -> None:
    script = _OWNER.replace("time.sleep(600)", "")
    elsewhere = 'mkdir -p /run/dyncast && mount -t tmpfs none /run/dyncast && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", elsewhere]
    done = subprocess.run([*command, sys.executable, script], capture_output=True, text=True, check=True)
    tag = RunTag(done.stdout.strip())
    left = remains.of(tag)
    assert left is not None and left.bridges and left.zones and left.registration is None
    assert cleanup.clean(tags=[tag]).problems == []
    assert remains.of(tag) is None


def test_cleaners_at_once_are_no_error(
    owner_started: Callable[[], tuple[subprocess.Popen[str], RunTag]],
) -> None:
    owner, tag = owner_started()
    owner.kill()
    owner.wait()
    script = "from testbed.emulation import cleanup; print(cleanup.clean().problems)"
    pipe = subprocess.PIPE
    cleaners = [subprocess.Popen([sys.executable, "-c", script], stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    said = [cleaner.communicate(timeout=120) for cleaner in cleaners]
    assert said == [("[]\n", "")] * 3
    assert remains.of(tag) is None
