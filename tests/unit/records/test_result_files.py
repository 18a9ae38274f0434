"""Files of results: read only if they are files, written only where they are meant to be."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from testbed.records import result_files


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    result_files.write_text(path, "größer")
    result_files.write_text(path, "größer still")
    assert result_files.read_text(path) == "größer still"
    assert [*tmp_path.iterdir()] == [path]


def _link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("secret")
    path.symlink_to(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_link, "it is a link"),
        (lambda path, _: os.mkfifo(path), "no regular file"),
        (lambda path, _: path.mkdir(), "no regular file"),
        (lambda path, _: path.symlink_to("/dev/zero"), "it is a link"),
    ],
    ids=["link", "pipe", "folder", "link to a device"],
)
def test_what_is_no_file_is_not_read(tmp_path: Path, make, said: str) -> None:
    path = tmp_path / "scenario.yaml"
    make(path, tmp_path)
    with pytest.raises(OSError, match=said):
        result_files.read_text(path)


def test_a_document_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(OSError, match="more than 256 MiB"):
        result_files.read_text(path)


def test_a_link_in_the_place_of_a_result_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody's")
    path = tmp_path / "report.html"
    path.symlink_to(elsewhere)
    result_files.write_text(path, "ours")
    assert not path.is_symlink() and path.read_text() == "ours"
    assert elsewhere.read_text() == "somebody's"


def test_a_folder_that_is_swapped_while_a_file_is_written_gets_nothing(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    with result_files.replacing(folder / "report.html") as stream:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(elsewhere)
        stream.write(b"ours")
    assert [*elsewhere.iterdir()] == []
    assert (tmp_path / "moved" / "report.html").read_bytes() == b"ours"


def test_a_file_whose_writing_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), result_files.replacing(path) as stream:
        stream.write(b"half")
        1 / 0  # noqa: B018
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "measures.json"
    texts = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=result_files.write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_is_its_folder_owner_s(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("capability root is missing: nothing can be handed over")
    os.chown(tmp_path, 65534, 65534)
    result_files.write_text(tmp_path / "report.html", "")
    found = (tmp_path / "report.html").stat()
    assert (found.st_uid, found.st_gid) == (65534, 65534)
