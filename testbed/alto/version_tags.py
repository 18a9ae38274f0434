"""Version tags: a resource and the mark of one version of it, derived from its content (RFC 7285, 6.3 and 10.3)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from testbed.alto.names import ResourceID

_TAG_OCTETS = 20
DIGEST_OCTETS = 32


@dataclass(frozen=True, slots=True)
class VersionTag:
    """One version of one resource; equal if both parts are, octet by octet."""

    resource_id: ResourceID
    tag: str

    def document(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"resource-id": self.resource_id, "tag": self.tag}


def tag_of(*parts: bytes) -> str:
    """Return the tag of a content given in parts; where a part ends counts."""
    digest = blake2b(digest_size=_TAG_OCTETS)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def digest_of(part: bytes) -> int:
    """Return a number for one part of a content.

    Those of all parts, added up, stand for the content in whatever order it was made, so that a part that changes
    costs no walk over the others. 256 bits make accidents impossible; who chooses the content himself might in
    theory find two that agree, and a server's content is its own.
    """
    return int.from_bytes(blake2b(part, digest_size=DIGEST_OCTETS).digest(), "big")
