"""An instance that burns CPU under a control group."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.runtime.polling import wait_until
from tests.integration.agent_processes import Start, ask, launcher


@pytest.fixture(name="start")
def fixture_start(tmp_path: Path) -> Iterator[Start]:
    with launcher(tmp_path) as start:
        yield start


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def groups(tag: str) -> list[Path]:
    """Find the control groups of a run, in whichever hierarchy."""
    cgroups = Path("/sys/fs/cgroup")
    return [*cgroups.glob(f"dyncast-{tag}"), *cgroups.glob(f"*/dyncast-{tag}")]


def service_ms(answer: bytes) -> float:
    return float(answer.split(b"X-Dyncast-Service-Ms: ")[1].split(b"\r")[0])


def test_the_work_is_real_cpu_time(start: Start) -> None:
    running = start(mode="burn", workers=1, queue_limit=1)

    async def burst() -> list[bytes]:
        return await asyncio.gather(*(ask(running.http, 200) for _ in range(3)))

    answers = asyncio.run(burst())
    assert sorted(answer.split(b" ")[1] for answer in answers) == [b"200", b"200", b"503"]
    assert all(service_ms(answer) >= 200 for answer in answers if b" 200 " in answer)
    workers = children_of(running.process.pid)
    assert running.stop() == 0
    assert float(running.table("instances")[-1]["cpu_s"]) >= 0.4
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_cpu_limit_stretches_the_work_and_leaves_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = f"test{os.getpid()}"
    monkeypatch.setenv("DYNCAST_RUN", tag)
    running = start(mode="burn", workers=1, cpu_limit=0.25)
    assert groups(tag)
    answer = asyncio.run(ask(running.http, 200))
    # 200 ms of CPU at a quarter of a core: at least three whole periods of 100 ms have to go by.
    assert service_ms(answer) >= 400
    assert running.stop() == 0
    assert not groups(tag)


def test_the_workers_die_with_the_instance(start: Start) -> None:
    running = start(mode="burn", workers=2)
    workers = children_of(running.process.pid)
    assert len(workers) == 2
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), what="the workers to be gone")


def test_an_instance_whose_worker_dies_says_so_and_ends(start: Start) -> None:
    running = start(mode="burn", workers=1)
    os.kill(children_of(running.process.pid)[0], signal.SIGKILL)
    code, error = running.outcome()
    assert code == 1
    assert "burn worker" in error and error.count("\n") == 1


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_without_a_writable_control_group_the_error_names_the_way_out(start: Start) -> None:
    wrapped = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh"]
    running = start(ready=False, command_prefix=wrapped, mode="burn", workers=1, cpu_limit=0.5)
    code, error = running.outcome()
    assert code == 1
    assert "cpu_limit: " in error and "use mode 'clock'" in error and error.count("\n") == 1
