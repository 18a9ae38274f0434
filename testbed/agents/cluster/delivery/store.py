"""The folder of a cluster's blobs: files that grow, layers that are unpacked. What it does blocks.

Owns the names in it: `blobs/NAME` is a blob, whole or not, whose length says how much of it has come; `layers/NAME` is
a layer, whole. What else lies there, a killed process left half done, and it is removed.
"""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from testbed.agents.functions import layers
from testbed.errors import TestbedError
from testbed.faas.delivery.blobs import Blob, Role, Sum
from testbed.runtime.config import ConfigError

_AT_ONCE = 1 << 20
_LOCK = "lock"


class StoppedError(TestbedError):
    """The cluster ends, and what was being done ends before it is done."""


class BlobStore:
    """The blobs of one cluster. `is_kept`: they stay for its next life."""

    def __init__(self, folder: Path, *, is_kept: bool) -> None:
        """Take a folder, made if it is not there. Raises ConfigError where another cluster has it."""
        self._folder, self._is_kept = folder, is_kept
        self._blobs, self._layers = folder / "blobs", folder / "layers"
        self._is_stopped = threading.Event()
        try:
            for needed in (folder, self._blobs, self._layers):
                needed.mkdir(exist_ok=True)
            self._lock = (folder / _LOCK).open("wb")
        except OSError as error:
            raise ConfigError(f"store_dir {str(folder)!r}: {error.strerror}; choose another folder") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(f"store_dir {str(folder)!r} is that of another cluster; choose another folder") from error

    def found(self) -> tuple[Mapping[Blob, int], frozenset[Blob]]:
        """Return what is there: files with their lengths, and layers. Removes what is nothing of it."""
        unpacked = frozenset(blob for path in self._layers.iterdir() if (blob := _blob(path, Role.LAYER)) is not None)
        parts = {}
        for path in self._blobs.iterdir():
            blob = _blob(path, *Role)
            if blob is not None and blob not in unpacked:
                parts[blob] = path.stat().st_size
            else:
                _remove(path)
        for path in self._layers.iterdir():
            if _blob(path, Role.LAYER) is None:
                _remove(path)
        return parts, unpacked

    def opened(self, blob: Blob, offset: int) -> BinaryIO:
        """Return a blob's file, cut at an offset, to write from there on. Raises OSError."""
        path = self._blobs / blob.file_name
        file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        file.truncate(offset)
        file.seek(offset)
        return file

    def digest(self, blob: Blob) -> str:
        """Return the digest of a blob's file. Raises OSError or StoppedError."""
        total = Sum()
        with (self._blobs / blob.file_name).open("rb", buffering=0) as file:
            while part := file.read(_AT_ONCE):
                total.add(part)
                self._check_wanted()
        return total.digest

    def code(self, blob: Blob) -> bytes:
        """Return the octets of a blob. Raises OSError."""
        return (self._blobs / blob.file_name).read_bytes()

    def unpack(self, blob: Blob) -> None:
        """Unpack a layer, and remove its archive. Raises LayerError, OSError or StoppedError."""
        archive, folder = self._blobs / blob.file_name, self.layer(blob)
        if not folder.is_dir():
            try:
                layers.unpack(archive, folder, lambda: not self._is_stopped.is_set())
            finally:
                self._check_wanted()
        archive.unlink()

    def layer(self, blob: Blob) -> Path:
        """Return the folder of a layer."""
        return self._layers / blob.file_name

    def remove(self, blob: Blob) -> None:
        """Remove all there is of a blob."""
        for path in (self._blobs / blob.file_name, self.layer(blob)):
            _remove(path)

    def stop(self) -> None:
        """Have what goes on in other threads end soon."""
        self._is_stopped.set()

    def close(self) -> None:
        """Give the folder up; it is removed if nothing is to be kept."""
        if not self._is_kept:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()

    def _check_wanted(self) -> None:
        if self._is_stopped.is_set():
            raise StoppedError


def _blob(path: Path, *roles: Role) -> Blob | None:
    blob = Blob.of_file_name(path.name)
    return blob if blob is not None and blob.role in roles else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
