"""Documents that one process shows to others of this machine, out of band: as things are now, written at each change.

A file has two places for documents, and a head that says which one holds the last, with its length and checksum. The
other place is written first: whoever reads finds the last whole document, however long the writer is held up. Who shows
it has a lock on the file, which the kernel takes away with the process: so whoever reads it knows whether that process
still lives, however it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from testbed import json_documents

_HEAD = struct.Struct("<QQI")  # where the document is, its length, its CRC-32
_PLACES = (1 << 12, 1 << 24)  # the file is as large as what was written, not as these
_MOST_OCTETS = _PLACES[1] - _PLACES[0]
_MOST_READS = 1000  # of a document that was overwritten twice meanwhile


class ShownDocument:
    """A document that this process shows at a path, until `close` or its end."""

    def __init__(self, path: Path) -> None:
        """Show nothing yet. Raises OSError."""
        self._path = path
        self._shown: bytes | None = None
        self._next = 0
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, 0)  # of a former life
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def show(self, document: Any) -> None:
        """Show this from now on. Raises OSError, or ValueError if it is too long."""
        octets = json.dumps(document).encode()
        if self._file is None or octets == self._shown:
            return
        if len(octets) > _MOST_OCTETS:
            raise ValueError(f"a document of {len(octets)} octets is too long to be shown")
        place, self._next = _PLACES[self._next], 1 - self._next
        os.pwrite(self._file, octets, place)
        os.pwrite(self._file, _HEAD.pack(place, len(octets), zlib.crc32(octets)), 0)
        self._shown = octets

    def close(self) -> None:
        """Show it no more."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = None


def shown(path: Path) -> Any | None:
    """Return the document that a process shows at a path; None if there is none, or its process has ended."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        for _ in range(_MOST_READS):
            if not _is_held(opened):
                return None
            head = os.pread(opened, _HEAD.size, 0)
            if len(head) < _HEAD.size:  # nothing yet
                return None
            place, length, checksum = _HEAD.unpack(head)
            octets = os.pread(opened, min(length, _MOST_OCTETS), place)
            if zlib.crc32(octets) == checksum:
                return json_documents.parse(octets)
        return None
    finally:
        os.close(opened)


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
