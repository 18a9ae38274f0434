"""Layers: what is packed comes out as it was, has the same digest whenever it is made, and no archive leads out."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from testbed.agents.functions import layers
from testbed.faas.delivery.layer_archive import LayerError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0\\"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..", "__pycache__") and len(name.encode()) < 200
)
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.binary(max_size=2000), max_size=8)
PARTS = st.sampled_from(["a", "b", "..", ".", "", "c"])
ENTRIES = st.lists(
    st.tuples(
        st.lists(PARTS, min_size=1, max_size=4).map("/".join),
        st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE]),
        st.lists(PARTS, min_size=1, max_size=4).map("/".join),
    ),
    max_size=6,
)


def write(folder: Path, files: dict[tuple[str, ...], bytes], order: int) -> None:
    for parts, content in sorted(files.items(), reverse=bool(order)):
        path = folder.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:  # a name that is a file and a folder
            continue


def packed(folder: Path) -> bytes:
    octets = io.BytesIO()
    layers.pack(folder, octets)
    return octets.getvalue()


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


@given(files=FILES)
def test_a_folder_comes_out_as_it_went_in(files: dict[tuple[str, ...], bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name, "first"), Path(name, "second")
        for number, folder in enumerate((first, second)):
            folder.mkdir()
            write(folder, files, 0)
            if number:
                os.utime(folder, (1, 1))
        archive = Path(name, "archive")
        archive.write_bytes(packed(first))
        assert archive.read_bytes() == packed(second)
        layers.unpack(archive, Path(name, "out"))
        assert contents(Path(name, "out")) == contents(first)


@given(entries=ENTRIES)
def test_no_archive_leads_out_of_its_folder(entries: list[tuple[str, bytes, str]]) -> None:
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w") as opened:
        for path, kind, target in entries:
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = kind, target
            opened.addfile(entry)
    with tempfile.TemporaryDirectory() as name:
        archive, out = Path(name, "archive"), Path(name, "inner", "out")
        archive.write_bytes(octets.getvalue())
        out.parent.mkdir()
        try:
            layers.unpack(archive, out)
        except LayerError:
            assert list(out.parent.iterdir()) == [], "nothing is left of what was refused"
            return
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        for path in out.rglob("*"):
            # A link to itself leads nowhere: os.path.realpath says so, Path.resolve raises.
            end = Path(os.path.realpath(path))
            assert out.resolve() in (end, *end.parents), "every link stays inside"
