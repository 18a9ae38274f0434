"""Archives of code, looked at before anything is unpacked: what they hold, where it would go, how large it would get.

Owns what an archive must be for each runtime. The octets come in; nothing is written. The central directory is
believed, for whoever unpacks reads no more of an entry than it says there.
"""

from __future__ import annotations

import base64
import binascii
import io
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import PurePosixPath

from testbed.faas.actions.action import BLACKBOX, NODE, PYTHON
from testbed.faas.errors import ApiError, malformed
from testbed.faas.limits import MIB, ClusterLimits

# What must stand at the top of an archive: any of these.
HANDLERS = {PYTHON: ("__main__.py",), NODE: ("package.json", "index.js"), BLACKBOX: ("exec",)}
_ENCRYPTED = 0x1
_ENTRY_MARK = b"PK\x01\x02"


def octets(code: str, limits: ClusterLimits) -> bytes:
    """Return the archive that stands in a request, in base64. Raises ApiError."""
    if len(code) > limits.code_bytes * 4 // 3 + 4:
        raise too_large(len(code) * 3 // 4, limits)
    try:
        return base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed(f"exec.code is no base64: {error}") from error


def too_large(length: int, limits: ClusterLimits) -> ApiError:
    """Return the error of code that is too long."""
    return ApiError(413, f"the code of an action may have {limits.code_bytes} bytes, not {length}")


def check(archive: bytes, kind: str, limits: ClusterLimits) -> None:
    """Check an archive of code for a runtime. Raises ApiError that names the entry."""
    entries = _entries(archive, limits)
    if len(entries) > limits.archive_entries:
        raise malformed(f"the archive has {len(entries)} entries, more than {limits.archive_entries}")
    for entry in entries:
        _check_entry(entry)
    total = sum(entry.file_size for entry in entries)
    if total > limits.unpacked_bytes:
        raise malformed(f"the archive unpacks to {total // MIB} MB, more than {limits.unpacked_bytes // MIB}")
    _check_names(entry.filename for entry in entries if not entry.is_dir())
    wanted = HANDLERS[kind]
    if not any(entry.filename in wanted for entry in entries):
        raise malformed(f"the archive has no handler: {kind} needs {' or '.join(wanted)} at its top")


def leaves_folder(name: str) -> bool:
    """Return whether an entry of an archive would not be unpacked to a place of its own in the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name


def _entries(archive: bytes, limits: ClusterLimits) -> list[zipfile.ZipInfo]:
    if len(archive) > limits.code_bytes:
        raise too_large(len(archive), limits)
    # Each costs half a kilobyte once it is read; archives in the archive, stored, have such marks, too.
    if archive.count(_ENTRY_MARK) > 4 * limits.archive_entries:
        raise malformed(f"the archive has more than {limits.archive_entries} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return opened.infolist()
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, OSError, EOFError, IndexError) as error:
        raise malformed(f"exec.code is no zip archive: {error}") from error
    except Exception as error:  # struct.error and the like, of a directory that is cut
        raise malformed(f"exec.code is no zip archive: {type(error).__name__}") from error


def _check_entry(entry: zipfile.ZipInfo) -> None:
    shown = entry.filename[:200]
    if leaves_folder(entry.filename):
        raise malformed(f"the entry {shown!r} of the archive would leave its folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise malformed(f"the entry {shown!r} of the archive is neither a file nor a folder")
    if entry.flag_bits & _ENCRYPTED:
        raise malformed(f"the entry {shown!r} of the archive is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise malformed(f"the entry {shown!r} of the archive is neither stored nor deflated")


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise malformed(f"the entry {name[:200]!r} stands twice in the archive")
        seen.add(name)
