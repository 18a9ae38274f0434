"""A blob: octets known by their SHA-256 digest and their number. Code of a function, or a layer as an archive."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum

_ALGORITHM = "sha256"
_DIGEST = re.compile(rf"{_ALGORITHM}:[0-9a-f]{{64}}", re.ASCII)


class Role(Enum):
    """What a blob is to a function."""

    CODE = "code"  # source, or a zip archive; sent to containers when they are initialised
    LAYER = "layer"  # an archive of a folder, unpacked once it is there; containers see the folder


@dataclass(frozen=True)
class Blob:
    """What a blob must be. Two that differ in any of this are two blobs, whatever they have in common."""

    digest: str
    octets: int
    role: Role

    @property
    def file_name(self) -> str:
        """Return the name of its file, or of the folder that it was unpacked to: no other blob has it."""
        return f"{self.role.value}-{self.octets}-{self.digest.partition(':')[2]}"

    @classmethod
    def of_file_name(cls, name: str) -> Blob | None:
        """Return the blob whose file has this name, None if it is of none."""
        role, _, rest = name.partition("-")
        octets, _, value = rest.partition("-")
        digest = f"{_ALGORITHM}:{value}"
        if role not in {item.value for item in Role} or not is_digest(digest) or not octets.isascii():
            return None
        if not octets.isdigit() or len(octets) > 18 or octets != str(int(octets)):
            return None
        return cls(digest, int(octets), Role(role))


def is_digest(text: object) -> bool:
    """Return whether this is a digest as blobs and manifests have them."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def digest_of(octets: bytes) -> str:
    """Return the digest of some octets."""
    return f"{_ALGORITHM}:{hashlib.sha256(octets).hexdigest()}"


def octets_of(digest: str) -> bytes:
    """Return a digest as octets. Raises ValueError if it is none."""
    return bytes.fromhex(digest.removeprefix(f"{_ALGORITHM}:"))


class Sum:
    """The digest of octets that come in parts."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, octets: bytes | bytearray | memoryview) -> None:
        """Take in the next octets."""
        self._hash.update(octets)

    @property
    def digest(self) -> str:
        """The digest of what has come."""
        return f"{_ALGORITHM}:{self._hash.hexdigest()}"
