"""The folder that a program of others runs in, which root comes back to when it is somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.experiment.systems.dyncast.launch import own_folder
from testbed.runtime.caller import User


@pytest.mark.parametrize("kind", ["link", "another name", "file"])
def test_files_are_written_anew_and_nothing_is_followed(tmp_path: Path, kind: str) -> None:
    (elsewhere := tmp_path / "elsewhere").write_text("as it was")
    (folder := tmp_path / "folder").mkdir()
    own_folder.prepare(folder, {"conf": "first"}, None)
    (folder / "conf").unlink()
    if kind == "link":
        (folder / "conf").symlink_to(elsewhere)
    elif kind == "another name":
        (folder / "conf").hardlink_to(elsewhere)
    else:
        (folder / "conf").write_text("changed")
    own_folder.prepare(folder, {"conf": "again"}, None)
    assert ((folder / "conf").read_text(), elsewhere.read_text()) == ("again", "as it was")
    assert not (folder / "conf").is_symlink()


def test_a_folder_that_is_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="link"):
        own_folder.prepare(tmp_path / "link", {}, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="hands files to another user")
def test_it_and_its_files_are_of_who_runs_the_program(tmp_path: Path) -> None:
    own_folder.prepare(tmp_path, {"conf": "text"}, User(65534, 65534))
    assert {path.stat().st_uid for path in (tmp_path, tmp_path / "conf")} == {65534}
