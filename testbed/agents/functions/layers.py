"""Layers: a folder as an archive that is the same wherever and whenever it is made, and its safe unpacking.

An archive has the entries of the folder by name, without times, owners and permissions but whether a file is a program,
and without `__pycache__`, which would be of no use without the times of what it was made from. Unpacking is all or
nothing: in a folder beside, which gets its name once it is whole.
"""

from __future__ import annotations

import copy
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from testbed.errors import InputError
from testbed.faas.delivery import layer_archive
from testbed.faas.delivery.layer_archive import LayerError

_LEFT_OUT = "__pycache__"
_FOLDER_MODE, _FILE_MODE, _PROGRAM_MODE = 0o755, 0o644, 0o755
_MOST_AT_ONCE = 1 << 20
_PARTIAL = ".partial"


class PackError(InputError):
    """A folder or file that cannot be made a blob; the text names it."""


def pack(folder: Path, archive: IO[bytes]) -> None:
    """Write the archive of a folder. Raises PackError."""
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for path in entries(folder):
            entry = _entry(folder, path)
            if entry.isreg():
                with path.open("rb") as content:
                    opened.addfile(entry, content)
            else:
                opened.addfile(entry)


def entries(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder and its folders, by name; links are not followed. Raises PackError."""
    try:
        found = sorted(os.scandir(folder), key=lambda item: item.name)
    except OSError as error:
        raise PackError(f"{folder}: {error.strerror}; it must be a folder that can be read") from error
    for item in found:
        if item.name == _LEFT_OUT:
            continue
        yield Path(item.path)
        if item.is_dir(follow_symlinks=False):
            yield from entries(Path(item.path))


def unpack(archive: Path, folder: Path, is_wanted: Callable[[], bool] = lambda: True) -> None:
    """Unpack an archive into a folder that is not there yet, so long as it is wanted.

    Raises LayerError, or OSError, and leaves nothing then.
    """
    partial = folder.with_name(folder.name + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=_FOLDER_MODE)
        _unpack(archive, partial, is_wanted)
        _open_folders(partial)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _unpack(archive: Path, folder: Path, is_wanted: Callable[[], bool]) -> None:
    octets = archive.stat().st_size
    try:
        with _InSmallParts(archive) as file, tarfile.open(fileobj=file, mode="r:") as opened:
            for entry in layer_archive.check(opened, octets):
                if not is_wanted():
                    raise LayerError("nobody wants the layer any more")
                _extract(opened, _normal(entry), folder)
    except (tarfile.TarError, UnicodeError, ValueError, EOFError) as error:
        if isinstance(error, LayerError):
            raise
        raise LayerError(f"the layer is no tar archive: {str(error)[:200]}") from error


def _extract(opened: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    """Unpack an entry that was checked. Python's own filter looks at it once more, where this release has it."""
    if hasattr(tarfile, "data_filter"):
        opened.extract(entry, folder, filter="data")
    else:
        opened.extract(entry, folder)


def _open_folders(folder: Path) -> None:
    """Let everybody into the folders, whatever the mask of this process: who reads them in a container is nobody."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(_FOLDER_MODE)


def _normal(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return an entry that is this user's, and has the permissions of a layer and a name without detours."""
    normal = copy.copy(entry)
    normal.name = PurePosixPath(entry.name).as_posix()
    normal.mode = _FOLDER_MODE if entry.isdir() else _file_mode(entry.mode)
    normal.uid, normal.gid, normal.uname, normal.gname, normal.mtime = os.getuid(), os.getgid(), "", "", 0
    return normal


def _entry(folder: Path, path: Path) -> tarfile.TarInfo:
    """Return the head of an entry. Raises PackError."""
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        elif stat.S_ISDIR(status.st_mode):
            entry.type, entry.mode = tarfile.DIRTYPE, _FOLDER_MODE
        else:
            entry.size, entry.mode = status.st_size, _file_mode(status.st_mode)
            if not stat.S_ISREG(status.st_mode):
                raise PackError(f"{path}: neither a file, a folder nor a symbolic link; leave it out of the layer")
        layer_archive.check([entry], entry.size)
    except LayerError as error:
        raise PackError(f"{path}: {error}") from error
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}; it must be readable") from error
    return entry


def _file_mode(mode: int) -> int:
    return _PROGRAM_MODE if mode & stat.S_IXUSR else _FILE_MODE


class _InSmallParts(io.FileIO):
    """A file of which nobody gets too much at once: heads of an archive may claim any length."""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next octets. Raises LayerError for too many at once."""
        if size is None or not 0 <= size <= _MOST_AT_ONCE:
            raise LayerError(f"a head in the layer is longer than {_MOST_AT_ONCE} octets")
        return super().read(size) or b""
