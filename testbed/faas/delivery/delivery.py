"""One delivery of a function to a cluster: what was asked for, how far it is, and its documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from testbed.faas.delivery.blobs import Blob, is_digest
from testbed.faas.delivery.manifest import Manifest
from testbed.faas.delivery.states import STAGES, Stage, Step
from testbed.faas.errors import malformed

_MOST_URL = 1000


@dataclass
class Delivery:
    """One delivery. Times are the cluster clock's, in seconds; octets are those of blobs, not of manifests."""

    delivery_id: str
    digest: str
    repository: str
    began_s: float
    deadline_s: float
    stage: Stage = Stage.MANIFEST
    manifest: Manifest | None = None
    missing: set[Blob] = field(default_factory=set)
    held: int = 0  # octets that were there when it was known what it needs
    fetched: int = 0
    resumed: int = 0
    ended_s: float | None = None
    reason: str = ""
    attempt: int = 0  # of its manifest
    wrong: int = 0
    due_s: float | None = None

    def step(self, step: Step) -> None:
        """Go to the stage that follows."""
        self.stage = STAGES[self.stage, step]
        self.due_s = None

    @property
    def name(self) -> str:
        """The name of the function, once it is known."""
        return "" if self.manifest is None else self.manifest.name

    @property
    def octets(self) -> int:
        """The octets of all that the function consists of, once it is known."""
        return 0 if self.manifest is None else sum(blob.octets for blob in self.manifest.blobs)

    def document(self, come: int, ms: Callable[[float], int]) -> dict[str, Any]:
        """Return it as the API shows it; `come`: octets that are there by now."""
        shown: dict[str, Any] = {
            "id": self.delivery_id,
            "state": self.stage.value,
            "function": self.digest,
            "name": self.name,
            "repository": self.repository,
            "bytes": self.octets,
            "bytes_held": self.held,
            "bytes_come": come,
            "bytes_fetched": self.fetched,
            "resumed": self.resumed,
            "start": ms(self.began_s),
        }
        if self.ended_s is not None:
            shown["end"] = ms(self.ended_s)
        if self.reason:
            shown["reason"] = self.reason
        return shown

    def row(self) -> dict[str, object]:
        """Return it as a row of the table `deliveries`, without the cluster."""
        return {
            "function": self.name,
            "digest": self.digest,
            "repository": self.repository,
            "bytes": self.octets,
            "bytes_held": self.held,
            "bytes_fetched": self.fetched,
            "resumed": self.resumed,
            "began_s": self.began_s,
            "ended_s": self.ended_s,
            "outcome": self.stage.value,
            "reason": self.reason,
        }


def asked(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the digest of the manifest and the URL of the repository that a request says. Raises ApiError."""
    digest, repository = document.get("function"), document.get("repository")
    if not isinstance(digest, str) or not is_digest(digest):
        raise malformed("function must be the digest of a manifest: sha256: and 64 hexadecimal digits in lower case")
    if not isinstance(repository, str) or not _is_url(repository):
        raise malformed("repository must be the URL of a repository: http://HOST[:PORT], or https")
    return digest, repository.rstrip("/")


def _is_url(text: str) -> bool:
    if len(text) > _MOST_URL or not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_right and is_plain
