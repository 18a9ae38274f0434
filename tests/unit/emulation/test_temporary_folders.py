"""Temporary folders go with their block, or with the next clean-up after their process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from testbed.emulation.temporary_folders import remove_abandoned, temporary_folder

_HOLDS_ONE = """
import sys, tempfile, time
from testbed.emulation.temporary_folders import temporary_folder
tempfile.tempdir = sys.argv[1]
with temporary_folder("test") as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_there_for_the_block(tmp_path: Path) -> None:
    with temporary_folder("test") as folder:
        (folder / "file").touch()
        remove_abandoned()
        assert [*tmp_path.rglob("file")] == [folder / "file"]
    assert [*tmp_path.iterdir()] == []


def test_that_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDS_ONE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        remove_abandoned()
        assert (folder / "file").exists()
        holder.kill()
        holder.wait()
        assert (folder / "file").exists()
        remove_abandoned()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["dyncast-test-1-4194305-1-abc", "dyncast-x", "dyncast-4026531836-4194305-1", "other"])
def test_what_is_of_another_container_or_of_nobody_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    remove_abandoned()
    assert (tmp_path / name).exists()


def test_a_link_that_is_called_like_one_leads_nowhere(tmp_path: Path) -> None:
    here = Path("/proc/self/ns/pid").stat().st_ino
    (tmp_path / "precious").mkdir()
    (tmp_path / f"dyncast-test-{here}-4194305-1-abc").symlink_to(tmp_path / "precious")
    remove_abandoned()
    assert (tmp_path / "precious").is_dir()
