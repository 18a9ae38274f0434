"""What a repository has: functions by name, manifests and blobs by digest. Packs them, and removes them.

Knows nothing of HTTP.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from testbed.agents.functions.blobs import Source, packed
from testbed.faas.delivery.manifest import Manifest
from testbed.records.file_names import file_name


class Item(NamedTuple):
    """Octets with a digest: those of a manifest, or of a file."""

    digest: str
    octets: int
    content: bytes | Path


def content_folder(store_dir: Path, repository: str) -> Path:
    """Return the folder of the files of a repository."""
    return store_dir / f"blobs-{file_name(repository)}"


class Content:
    """All that a repository serves."""

    def __init__(self, folder: Path) -> None:
        """Take a folder of its own; what a killed repository left there is removed."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._folder = folder
        self._manifests: dict[str, Manifest] = {}
        self._items: dict[tuple[str, str], Item] = {}

    def add(self, name: str, source: Source) -> Manifest:
        """Pack a function. Raises PackError or OSError."""
        manifest = packed(name, source, self._folder)
        self._manifests[name] = manifest
        self._items["manifests", manifest.digest] = Item(manifest.digest, len(manifest.octets), manifest.octets)
        for blob in manifest.blobs:
            self._items["blobs", blob.digest] = Item(blob.digest, blob.octets, self._folder / blob.file_name)
        return manifest

    def find(self, kind: str, digest: str) -> Item | None:
        """Return a manifest or blob; `kind`: manifests, blobs."""
        return self._items.get((kind, digest))

    def listed(self) -> Mapping[str, Any]:
        """Return the functions by name, with the digests of their manifests, and their octets."""
        return {
            name: {"manifest": manifest.digest, "bytes": sum(blob.octets for blob in manifest.blobs)}
            for name, manifest in sorted(self._manifests.items())
        }

    def remove(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._folder, ignore_errors=True)
