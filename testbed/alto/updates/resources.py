"""What update streams need to know of the resources that they are of: versions, sizes, dependencies, changes.

Knows no maps. An adapter joins these protocols to those of an ALTO server; the stream asks for a whole body only when
it sends one, so a map of a million costs is not written for one that changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from testbed.alto.updates.patches.merge_patch import Json
from testbed.errors import InputError


class Resource(Protocol):
    """One information resource, or one answer of a resource that takes input, in its present version."""

    @property
    def media_type(self) -> str:
        """Return the media type of its body."""

    @property
    def tag(self) -> str:
        """Return the tag of its present version; other content has another tag."""

    def body(self) -> bytes:
        """Return the present version as JSON."""

    def size_octets(self) -> int:
        """Return about how long the body is, without making it."""


class Catalogue(Protocol):
    """Where resources come from."""

    def resource(self, resource_id: str, input: dict[str, Json] | None) -> Resource:
        """Return a resource. Raises AltoError with the field of `input` that is missing or wrong."""


@dataclass(frozen=True)
class Offer:
    """A resource that a stream has updates of. `uses`: those that it depends on, whose updates go first.

    `is_incremental`: changes of it can be said as a merge patch. `takes_input`: each answer of it is of some input.
    """

    resource_id: str
    uses: tuple[str, ...] = ()
    is_incremental: bool = True
    takes_input: bool = False


@dataclass(frozen=True)
class Published:
    """A resource has a new version. `patch` makes it of the one before; None: it is to be sent whole."""

    resource_id: str
    previous_tag: str
    tag: str
    patch: Json = None


class OffersUnordered(InputError):
    """Resources of a stream depend on each other in a circle."""


def ranks(offers: Sequence[Offer]) -> Mapping[str, int]:
    """Return a rank for each resource, above those of all that it uses. Raises OffersUnordered."""
    uses = {offer.resource_id: [name for name in offer.uses if name != offer.resource_id] for offer in offers}
    found: dict[str, int] = {}
    while len(found) < len(uses):
        ready = [
            name
            for name, needed in uses.items()
            if name not in found and all(n in found or n not in uses for n in needed)
        ]
        if not ready:
            raise OffersUnordered(f"resources that use each other in a circle: {sorted(uses.keys() - found.keys())}")
        found.update({name: 1 + max((found.get(n, 0) for n in uses[name]), default=0) for name in ready})
    return found
