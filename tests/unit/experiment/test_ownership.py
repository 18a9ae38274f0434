"""Results are handed to who called sudo: what this process made, and nothing that a link or another name leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.experiment.execution import ownership

CALLER = (65534, 65534)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="capability root is missing: nothing can be handed over")


@pytest.fixture(autouse=True)
def _called_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAST_OWNER", "{}:{}".format(*CALLER))


def owner(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


def hand_over(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    ownership.hand_over(descriptor)
    os.close(descriptor)


def test_folders_are_made_as_the_caller_s_and_those_that_are_there_stay(tmp_path: Path) -> None:
    ownership.make_folder(tmp_path / "results" / "first")
    assert owner(tmp_path / "results") == owner(tmp_path / "results" / "first") == CALLER
    assert owner(tmp_path) == (0, 0)
    ownership.make_folder(tmp_path)
    assert owner(tmp_path) == (0, 0)


def test_a_run_is_handed_over_with_all_in_it(tmp_path: Path) -> None:
    (tmp_path / "run" / "logs").mkdir(parents=True)
    (tmp_path / "run" / "logs" / "relay.log").write_text("")
    (tmp_path / "run" / "manifest.json").write_text("{}")
    hand_over(tmp_path / "run")
    assert {owner(path) for path in (tmp_path / "run", *(tmp_path / "run").rglob("*"))} == {CALLER}
    assert owner(tmp_path) == (0, 0)


def test_what_links_and_other_names_lead_to_stays_root_s(tmp_path: Path) -> None:
    secret, folder = tmp_path / "shadow", tmp_path / "etc"
    secret.write_text("")
    (folder / "deep").mkdir(parents=True)
    run = tmp_path / "run"
    run.mkdir()
    (run / "link").symlink_to(secret)
    (run / "folder").symlink_to(folder)
    os.link(secret, run / "name")
    hand_over(run)
    assert {owner(path) for path in (secret, folder, folder / "deep")} == {(0, 0)}
    assert owner(run / "link") == owner(run / "folder") == CALLER


def test_a_folder_that_took_the_place_of_a_run_is_not_handed_over(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    elsewhere.mkdir()
    (elsewhere / "file").write_text("")
    descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    run.rename(tmp_path / "moved")
    run.symlink_to(elsewhere)
    ownership.hand_over(descriptor)
    os.close(descriptor)
    assert owner(elsewhere / "file") == owner(elsewhere) == (0, 0)
    assert owner(tmp_path / "moved") == CALLER


def test_what_is_the_caller_s_already_is_left_alone_with_all_in_it(tmp_path: Path) -> None:
    theirs = tmp_path / "run" / "theirs"
    theirs.mkdir(parents=True)
    (theirs / "moved-here").write_text("a file of root's, which the caller may move but not read")
    (theirs / "of-root").mkdir()
    (theirs / "of-root" / "deep").write_text("")
    os.chown(theirs, CALLER[0], 0)
    (tmp_path / "run" / "log").write_text("")
    os.chown(tmp_path / "run" / "log", CALLER[0], 0)
    hand_over(tmp_path / "run")
    assert owner(tmp_path / "run") == CALLER
    assert owner(theirs) == owner(tmp_path / "run" / "log") == (CALLER[0], 0)
    assert {owner(path) for path in theirs.rglob("*")} == {(0, 0)}


def test_a_name_that_is_swapped_after_the_look_at_it_hands_nothing_else_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, run, look = tmp_path / "shadow", tmp_path / "run", os.fstat
    secret.write_text("")
    run.mkdir()
    (run / "file").write_text("")
    is_file = (run / "file").stat().st_ino

    def swapped(descriptor: int) -> os.stat_result:
        found = look(descriptor)
        if found.st_ino == is_file and (run / "file").exists():
            (run / "file").rename(tmp_path / "aside")
            secret.rename(run / "file")
        return found

    monkeypatch.setattr(os, "fstat", swapped)
    hand_over(run)
    monkeypatch.undo()
    assert owner(run / "file") == (0, 0)
    assert owner(tmp_path / "aside") == CALLER


def test_what_nobody_may_open_is_neither_waited_for_nor_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "pipe")
    os.link(tmp_path / "run" / "pipe", tmp_path / "run" / "same")
    hand_over(tmp_path / "run")
    assert owner(tmp_path / "run" / "pipe") == (0, 0)
    assert owner(tmp_path / "run") == CALLER
