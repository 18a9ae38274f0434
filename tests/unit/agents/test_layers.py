"""Layers and functions of this machine: what is packed, what is refused, what unpacks to what."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.agents.functions import layers
from testbed.agents.functions.blobs import Source, packed
from testbed.agents.functions.layers import PackError
from testbed.faas.delivery import layer_archive
from testbed.faas.delivery.layer_archive import LayerBounds, LayerError


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def archive_of(path: Path, *entries: tuple[str, bytes, str]) -> Path:
    with tarfile.open(path, "w") as opened:
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            opened.addfile(entry)
    return path


def refusal(archive: Path) -> str:
    out = archive.with_name("out")
    with pytest.raises(LayerError) as caught:
        layers.unpack(archive, out)
    assert not out.exists() and not out.with_name("out.partial").exists()
    return str(caught.value)


def repacked(folder: Path) -> bytes:
    octets = io.BytesIO()
    layers.pack(folder, octets)
    return octets.getvalue()


def test_times_owners_and_caches_are_no_part_of_a_layer(tmp_path: Path) -> None:
    one, two = folder_of(tmp_path / "one", a="1", b="2"), folder_of(tmp_path / "two", b="2", a="1")
    os.utime(two / "a", (1000, 1000))
    (two / "a").chmod(0o600)
    (two / "__pycache__").mkdir()
    (two / "__pycache__" / "a.pyc").write_text("")
    assert repacked(one) == repacked(two)
    (two / "a").chmod(0o755)
    assert repacked(one) != repacked(two), "but whether a file is a program"


def test_what_is_unpacked_can_be_read_by_everybody(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "layer", program="#!/bin/sh")
    (folder / "program").chmod(0o700)
    (folder / "inner").mkdir(mode=0o700)
    (folder / "link").symlink_to("inner")
    archive = tmp_path / "archive"
    archive.write_bytes(repacked(folder))
    former = os.umask(0o077)
    try:
        layers.unpack(archive, tmp_path / "out")
    finally:
        os.umask(former)
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert (modes["program"], modes["inner"]) == (0o755, 0o755)
    assert (tmp_path / "out" / "link").readlink() == Path("inner")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("../up", tarfile.REGTYPE, "")], "'../up'"),
        ([("/etc/passwd", tarfile.REGTYPE, "")], "'/etc/passwd'"),
        ([("a/../../up", tarfile.REGTYPE, "")], "leave its folder"),
        ([("link", tarfile.SYMTYPE, "/etc")], "lead out"),
        ([("link", tarfile.SYMTYPE, "..")], "lead out"),
        ([("d", tarfile.DIRTYPE, ""), ("d/link", tarfile.SYMTYPE, "../../x")], "lead out"),
        ([("d", tarfile.DIRTYPE, ""), ("d/l", tarfile.SYMTYPE, ".."), ("m", tarfile.SYMTYPE, "d/l/..")], "lead out"),
        ([("l", tarfile.SYMTYPE, "d"), ("l/file", tarfile.REGTYPE, "")], "no folder"),
        ([("l/file", tarfile.REGTYPE, ""), ("l", tarfile.SYMTYPE, "d")], "no folder"),
        ([("f", tarfile.REGTYPE, ""), ("f/file", tarfile.REGTYPE, "")], "no folder"),
        ([("hard", tarfile.LNKTYPE, "other")], "no plain file"),
        ([("device", tarfile.BLKTYPE, "")], "no plain file"),
        ([("pipe", tarfile.FIFOTYPE, "")], "no plain file"),
        ([("twice", tarfile.REGTYPE, ""), ("./twice", tarfile.REGTYPE, "")], "twice"),
    ],
)
def test_an_archive_that_is_no_layer_is_refused_by_its_entry(
    tmp_path: Path, entries: list[tuple[str, bytes, str]], said: str
) -> None:
    assert said in refusal(archive_of(tmp_path / "archive", *entries))


def cut(octets: bytes) -> bytes:
    return octets[:700]


def compressed(_octets: bytes) -> bytes:
    return b"\x1f\x8b\x08\x00" + bytes(600)


def nothing(_octets: bytes) -> bytes:
    return b"no archive" * 100


@pytest.mark.parametrize("spoil", [cut, compressed, nothing])
def test_what_is_no_archive_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(spoil(repacked(folder_of(tmp_path / "layer", a="1" * 2000))))
    refusal(archive)


def test_a_head_that_claims_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@PaxHeader")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 30
    archive = tmp_path / "archive"
    archive.write_bytes(entry.tobuf() + bytes(10240))
    assert "longer than" in refusal(archive)


def test_a_file_with_holes_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("holes")
    entry.type, entry.size = tarfile.GNUTYPE_SPARSE, 0
    archive = tmp_path / "archive"
    archive.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert "no plain file" in refusal(archive)


def test_a_size_beyond_the_archive_is_refused() -> None:
    entry = tarfile.TarInfo("large")
    entry.size = 20_000
    with pytest.raises(LayerError, match="its own size"):
        layer_archive.check([entry], 10_240)


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(LayerError, match="more than 3 entries"):
        layer_archive.check([tarfile.TarInfo(f"f{number}") for number in range(4)], 0, LayerBounds(entries=3))


def test_a_folder_with_what_no_layer_may_have_is_refused_by_its_path(tmp_path: Path) -> None:
    os.mkfifo(folder_of(tmp_path / "piped") / "pipe")
    with pytest.raises(PackError, match=r"piped/pipe: neither"):
        repacked(tmp_path / "piped")
    (folder_of(tmp_path / "linked") / "out").symlink_to("/etc")
    with pytest.raises(PackError, match=r"linked/out: .*lead out"):
        repacked(tmp_path / "linked")
    with pytest.raises(PackError, match="none: No such file"):
        repacked(tmp_path / "none")


def test_a_function_is_packed_into_blobs_under_their_names(tmp_path: Path) -> None:
    code = folder_of(tmp_path / "code", **{"__main__.py": "def main(args): return args"})
    layer = folder_of(tmp_path / "layer", a="1")
    store = folder_of(tmp_path / "store")
    source = Source(code, "python:default", limits={"memory": 128}, layers={"one": layer})
    manifest = packed("echo", source, store)
    assert (manifest.kind, manifest.is_binary) == ("python:3", True)
    assert {path.name: path.stat().st_size for path in store.iterdir()} == {
        blob.file_name: blob.octets for blob in manifest.blobs
    }
    assert packed("echo", source, store) == manifest


def test_a_file_is_source_unless_it_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text("def main(args): return args")
    store = folder_of(tmp_path / "store")
    manifest = packed("echo", Source(tmp_path / "echo.py", "python:3"), store)
    assert not manifest.is_binary
    code = (store / manifest.code.file_name).read_bytes()
    assert code == (tmp_path / "echo.py").read_bytes()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(Path("none.py"), "python:3"), "none.py: No such file"),
        (Source(Path("empty.py"), "python:3"), "code.size"),
        (Source(Path("folder"), "python:3"), "__main__.py"),
        (Source(Path("echo.py"), "blackbox"), "code.binary"),
        (Source(Path("echo.py"), "python:3", limits={"speed": 1}), "speed"),
        (Source(Path("echo.py"), "python:3", layers={"../up": Path("folder")}), "layers[0].name"),
        (Source(Path("echo.py"), "python:3", layers={"one": Path("none")}), "none: No such file"),
    ],
)
def test_a_function_that_cannot_be_is_refused(tmp_path: Path, source: Source, said: str) -> None:
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "echo.py").write_text("def main(args): return args")
    folder_of(tmp_path / "folder", other="1")
    store = folder_of(tmp_path / "store")
    there = Source(
        tmp_path / source.code,
        source.kind,
        limits=source.limits,
        layers={name: tmp_path / folder for name, folder in source.layers.items()},
    )
    with pytest.raises(PackError) as caught:
        packed("echo", there, store)
    assert said in str(caught.value)
