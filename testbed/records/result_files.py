"""Files of results, which somebody else may have made: read only what is a file, written only where it is meant to be.

Owns opening and replacing. A name in a folder of results may be a link, a pipe or a device that the folder's owner put
there. Nothing but regular files is read, no link at the end of a path is followed, and what is written appears under
its name whole, as the folder owner's file, whatever stood there before. Knows nothing of what the files hold.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

_MOST_BYTES = 256 << 20  # of a document, which is read as a whole
_READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # to open a pipe must not wait for its writer
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError, also for a link, a pipe or a device."""
    try:
        descriptor = os.open(path, _READ_ONLY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: Path, *, errors: str = "strict") -> str:
    """Return the text of a regular file. Raises OSError, UnicodeDecodeError."""
    with open_file(path) as stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {_MOST_BYTES >> 20} MiB", str(path))
    return data.decode("utf-8", errors)


def why_unread(error: Exception) -> str:
    """Return why a file could not be read, in one line for a sentence that names the file already."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(said.split())[:200]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file as a whole: it gets its name when the block is over, and none if it fails. Raises OSError.

    It belongs to the owner of the folder, if this process may say so.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # whatever its name leads to later
    partial = f".{path.name}.{token_hex(8)}"
    try:
        descriptor = os.open(partial, _NEW, 0o644, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                _hand_to_owner_of(folder, descriptor)
                yield stream
            os.replace(partial, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text as a whole. Raises OSError."""
    with replacing(path) as stream:
        stream.write(text.encode())


def _hand_to_owner_of(folder: int, descriptor: int) -> None:
    if os.geteuid() == 0:
        owner = os.fstat(folder)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
