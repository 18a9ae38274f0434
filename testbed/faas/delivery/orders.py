"""What deliveries ask of their adapter: what to fetch, check, unpack and remove, actions to make.

An adapter may take its time, but for one blob it carries orders out one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from testbed.faas.delivery.blobs import Blob
from testbed.faas.delivery.manifest import Manifest


@dataclass(frozen=True)
class FetchManifest:
    """Get a manifest. Then `on_manifest` or `on_manifest_problem`, with this attempt."""

    delivery: str
    repository: str
    digest: str
    attempt: int


@dataclass(frozen=True)
class StopManifest:
    """Get it no more; reports of it are of no interest."""

    delivery: str


@dataclass(frozen=True)
class FetchBlob:
    """Get a blob's octets from `offset` on, append them to its file. `on_octets` as they come, then `on_fetched`."""

    blob: Blob
    repository: str
    offset: int
    attempt: int


@dataclass(frozen=True)
class StopFetch:
    """Get it no more; what has come stays. Reports of it are of no interest."""

    blob: Blob


@dataclass(frozen=True)
class CheckBlob:
    """Find the digest of a blob's file. Then `on_checked`, or `on_disk_problem`."""

    blob: Blob


@dataclass(frozen=True)
class UnpackLayer:
    """Unpack the archive of a layer into its folder, all or nothing. Then `on_unpacked`, or `on_disk_problem`."""

    blob: Blob


@dataclass(frozen=True)
class RemoveBlob:
    """Remove all there is of a blob."""

    blob: Blob


@dataclass(frozen=True)
class CreateAction:
    """Read the code of a function, and make the action. Then `on_created`."""

    delivery: str
    manifest: Manifest
    digest: str


Order = FetchManifest | StopManifest | FetchBlob | StopFetch | CheckBlob | UnpackLayer | RemoveBlob | CreateAction


class Trouble(Enum):
    """Why a fetch ended early; which of them another attempt may change."""

    BROKEN = "broken"  # no connection, or not to its end; overloaded; anything that passes
    OTHER = "other"  # octets that cannot be of this blob: too many, or a range that was not asked for
    ABSENT = "absent"  # the repository has no such thing, or does not say
    DISK = "disk"  # it cannot be written


@dataclass(frozen=True)
class Problem:
    """What went wrong, in a line for whoever asked for the delivery."""

    trouble: Trouble
    text: str
