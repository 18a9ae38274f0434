"""A function of this machine as a manifest and blobs: its code from a file or a folder, its layers from folders.

A folder of code becomes a zip archive that is the same wherever and whenever it is made; a file that is one stays as it
is, any other is source.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testbed.agents.functions.layers import PackError, entries, pack
from testbed.faas.actions import archive
from testbed.faas.actions.action import resolved
from testbed.faas.delivery import manifest as manifests
from testbed.faas.delivery.blobs import Blob, Role, Sum, digest_of
from testbed.faas.delivery.manifest import FunctionError, Layer, Manifest
from testbed.faas.errors import ApiError
from testbed.faas.limits import ClusterLimits

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can say
_ZIP = b"PK\x03\x04"
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Source:
    """Where a function is on this machine. `limits`: under the names and units of the API."""

    code: Path
    kind: str
    main: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    layers: Mapping[str, Path] = field(default_factory=dict)


def packed(name: str, source: Source, store: Path) -> Manifest:
    """Write the blobs of a function into a folder, each under its `file_name`; return the manifest.

    Raises PackError, or OSError where they cannot be written.
    """
    code = _code(source.code)
    is_binary = code.startswith(_ZIP)
    _check_code(source, code, is_binary=is_binary)
    blob = Blob(digest_of(code), len(code), Role.CODE)
    (store / blob.file_name).write_bytes(code)
    layers = tuple(Layer(layer, _layer(folder, store)) for layer, folder in sorted(source.layers.items()))
    manifest = Manifest(name, resolved(source.kind), blob, is_binary, source.main, source.limits, layers)
    try:
        return manifests.read(manifest.octets)
    except FunctionError as error:
        raise PackError(f"function {name!r}: {error}") from error


def _code(path: Path) -> bytes:
    try:
        return _zipped(path) if path.is_dir() else path.read_bytes()
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}; code must be a file or a folder that can be read") from error


def _check_code(source: Source, code: bytes, *, is_binary: bool) -> None:
    """Refuse code that every cluster would refuse."""
    limits = ClusterLimits()
    try:
        if is_binary and resolved(source.kind) in archive.HANDLERS:
            archive.check(code, resolved(source.kind), limits)
        elif len(code) > limits.code_bytes:
            raise archive.too_large(len(code), limits)
    except ApiError as error:
        raise PackError(f"{source.code}: {error}") from error


def _zipped(folder: Path) -> bytes:
    """Return an archive that is not compressed: releases of zlib differ in their octets, and digests would, too."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_STORED) as opened:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.create_system = 3
            is_program = path.stat().st_mode & stat.S_IXUSR
            entry.external_attr = (stat.S_IFREG | (0o755 if is_program else 0o644)) << 16
            opened.writestr(entry, path.read_bytes())
    return octets.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for path in entries(folder):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise PackError(f"{path}: neither a file nor a folder; code has no links")
        if path.is_file():
            yield path


def _layer(folder: Path, store: Path) -> Blob:
    """Write the archive of a layer; return its blob."""
    descriptor, name = tempfile.mkstemp(prefix="layer-", dir=store)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            pack(folder, file)
            blob = _blob_of(file)
        Path(name).replace(store / blob.file_name)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return blob


def _blob_of(file: io.BufferedRandom) -> Blob:
    file.flush()
    file.seek(0)
    total = Sum()
    while part := file.read(_AT_ONCE):
        total.add(part)
    return Blob(total.digest, file.tell(), Role.LAYER)
