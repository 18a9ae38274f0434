"""A command on a machine of its own: it meets nothing of ours, leaves nothing, and lacks nothing that we have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.cli.machine import isolation, run_tests
from testbed.runtime.polling import wait_until
from tests.machine import CHECKOUT, unchanged

pytestmark = pytest.mark.root

_LOOK = """
import os
from pathlib import Path
from testbed.emulation.machine.capabilities import open_vswitch_runs
print(sorted(os.listdir("/sys/class/net")), open_vswitch_runs(), os.getpid() < 100, len(os.listdir("/sys/fs/cgroup")))
Path("/run/of-its-own").touch()
"""


def _isolated(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        isolation.isolated(command), cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_has_interfaces_processes_and_an_open_vswitch_of_its_own_and_our_control_groups() -> None:
    assert isolation.is_possible()
    with unchanged():
        looked = _isolated(sys.executable, "-c", _LOOK)
    groups = len(list(Path("/sys/fs/cgroup").iterdir()))
    assert (looked.stdout, looked.returncode) == (f"['lo'] True True {groups}\n", 0), looked.stderr
    assert not Path("/run/of-its-own").exists()


def test_it_ends_as_the_command_does() -> None:
    assert _isolated("sh", "-c", "exit 3").returncode == 3


_MARK = "DYNCAST_TEST_ISOLATION"
_WAITING = """
import os
import time
from pathlib import Path


def test_it():
    seen = f"{{os.listdir('/sys/class/net')}} {{os.readlink('/proc/self/ns/net')}}"
    Path({file!r}).write_text(seen)
    time.sleep(600)
"""


def test_files_of_tests_run_side_by_side_on_machines_of_their_own_which_end_with_them(tmp_path: Path) -> None:
    written = [tmp_path / "one.txt", tmp_path / "other.txt"]
    for file in written:
        (tmp_path / f"test_{file.stem}.py").write_text(_WAITING.format(file=str(file)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *run_tests.on_machines_of_their_own()]
    ours = {**os.environ, _MARK: str(tmp_path)}
    with (
        unchanged(),
        subprocess.Popen([*command, str(tmp_path)], cwd=CHECKOUT, env=ours, stdout=subprocess.DEVNULL) as tests,
    ):
        try:
            wait_until(lambda: all(file.exists() and file.read_text() for file in written), 120, "both to run")
            one, other = (file.read_text() for file in written)
            assert one.startswith("['lo']") and other.startswith("['lo']")
            assert len({one, other, f"['lo'] {Path('/proc/self/ns/net').readlink()}"}) == 3
            assert len(_running_in(tmp_path)) > 2
        finally:
            tests.kill()
        wait_until(lambda: not _running_in(tmp_path), 40, "the machines to end")


def _running_in(folder: Path) -> list[str]:
    """The processes that these tests started, on whichever machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{_MARK}={folder}\0".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
