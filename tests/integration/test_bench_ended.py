"""A benchmark that is asked to end while it measures leaves nothing of what it made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from testbed.cli.machine.checkout import ROOT
from testbed.emulation import remains
from testbed.emulation import tagged_processes as processes
from testbed.emulation.machine.capabilities import start_open_vswitch
from testbed.runtime.polling import wait_until

pytestmark = pytest.mark.root


def processes_with(setting: str) -> set[int]:
    """Whoever has this in their environment: a process that was given it, and all that descend from it."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile
            if setting.encode() in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
    return found


def network_namespaces(pids: Iterable[int]) -> set[int]:
    found = set()
    for pid in pids:
        with suppress(OSError):
            found.add(Path(f"/proc/{pid}/ns/net").stat().st_ino)
    return found


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("link", "dyncast-bench-*/relay.ready"),
        ("generator", "dyncast-links-*"),
        ("throughput", "dyncast-bench-*/datapath/*.ready"),
    ],
    ids=["link", "generator", "throughput"],
)
def test_a_benchmark_that_is_asked_to_end_leaves_nothing(name: str, sign: str, tmp_path: Path) -> None:
    start_open_vswitch()  # or the benchmark would, for good
    own = f"TMPDIR={tmp_path}"
    command = ["env", own, sys.executable, "-m", "testbed.cli", "bench", name, "--quick"]
    bench = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        wait_until(lambda: list(tmp_path.glob(sign)) or bench.poll() is not None, 60, f"{name} to stand")
        started = processes_with(own)
        namespaces = network_namespaces(started) - network_namespaces([os.getpid()])
        tags = {
            tag
            for tag, tagged in processes.tagged_processes().items()
            if not started.isdisjoint(item.pid for item in tagged)
        }
        assert len(started) > 2 and len(namespaces) >= 2
        for _ in range(2):  # as `timeout` does
            bench.send_signal(signal.SIGTERM)
        _, said = bench.communicate(timeout=60)
    finally:
        bench.kill()
        bench.wait()
    assert bench.returncode == 128 + signal.SIGTERM, said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
    assert not processes_with(own)
    everyone = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    assert namespaces.isdisjoint(network_namespaces(everyone))
    assert tags.isdisjoint(item.tag for item in remains.find([]))
