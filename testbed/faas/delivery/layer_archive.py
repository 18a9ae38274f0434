"""Archives of layers, looked at before anything is unpacked: which entries there are, where each would go, how large.

A layer is a tar archive (POSIX, not compressed: so it unpacks to no more than its own size) of folders, files and
symbolic links among them. Owns what may be in one. Headers come in, nothing is read or written. Nothing is unpacked
through a link: the folder that an entry is in is a folder of the archive, or none; and a link first goes up, through
such folders, and then down. So no link, and no chain of links, leads out.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from testbed.errors import InputError
from testbed.faas.actions.archive import leaves_folder

_MOST_NAME = 1024
_KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link"}


class LayerError(InputError):
    """An archive that is no layer, by the entry that is wrong."""


@dataclass(frozen=True)
class LayerBounds:
    """How much may be in a layer."""

    entries: int = 50_000


def check(
    entries: Iterable[tarfile.TarInfo], octets: int, bounds: LayerBounds = LayerBounds()
) -> list[tarfile.TarInfo]:
    """Return the entries of an archive of so many octets. Raises LayerError."""
    kinds: dict[PurePosixPath, str] = {}
    found: list[tarfile.TarInfo] = []
    total = 0
    for entry in entries:
        if len(found) >= bounds.entries:
            raise LayerError(f"the layer has more than {bounds.entries} entries")
        path = _path(entry)
        if path in kinds:
            raise LayerError(f"the entry {_shown(entry)} stands twice in the layer")
        kinds[path] = _kind(entry)
        if kinds[path] == "link":
            _check_link(entry, path)
        total += entry.size
        if total > octets:
            raise LayerError(f"the layer unpacks to more than its own size, {octets} octets")
        found.append(entry)
    for path in kinds:
        _check_parents(path, kinds)
    return found


def _path(entry: tarfile.TarInfo) -> PurePosixPath:
    if leaves_folder(entry.name) or len(entry.name) > _MOST_NAME:
        raise LayerError(f"the entry {_shown(entry)} of the layer would leave its folder, or has too long a name")
    return PurePosixPath(entry.name)


def _kind(entry: tarfile.TarInfo) -> str:
    kind = _KINDS.get(entry.type)
    if kind is None or entry.issparse():
        raise LayerError(f"the entry {_shown(entry)} of the layer is no plain file, folder or symbolic link")
    if entry.size < 0 or (kind != "file" and entry.size):
        raise LayerError(f"the entry {_shown(entry)} of the layer has an impossible size")
    return kind


def _check_link(entry: tarfile.TarInfo, path: PurePosixPath) -> None:
    """Let a link lead up to the top of the layer at most, and never up again once it went down."""
    target = PurePosixPath(entry.linkname)
    ups = 0
    while ups < len(target.parts) and target.parts[ups] == "..":
        ups += 1
    is_inside = not target.is_absolute() and bool(target.parts) and ".." not in target.parts[ups:]
    if not is_inside or ups > len(path.parts) - 1 or "\0" in entry.linkname or len(entry.linkname) > _MOST_NAME:
        raise LayerError(f"the link {_shown(entry)} of the layer would lead out of its folder, or might")


def _check_parents(path: PurePosixPath, kinds: dict[PurePosixPath, str]) -> None:
    for parent in path.parents:
        if kinds.get(parent, "folder") != "folder":
            raise LayerError(
                f"the entry {str(path)[:200]!r} of the layer is in {str(parent)[:200]!r}, which is no folder"
            )


def _shown(entry: tarfile.TarInfo) -> str:
    return repr(entry.name[:200])
