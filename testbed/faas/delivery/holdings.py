"""What a cluster holds: blobs with their sizes, who uses each, a bound in octets.

Owns who uses what, and which blobs go when room is needed: those that nobody uses, the one unused for longest first.
Room is counted in whole blobs, come or not, so that what was begun finds room for its end. Disks and transfers are
others' business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from testbed.errors import TestbedError
from testbed.faas.delivery.blobs import Blob
from testbed.faas.limits import MIB


class StoreFull(TestbedError):
    """Blobs that do not fit beside those that are in use."""


class User(NamedTuple):
    """Who uses blobs: a delivery by its id, a function by its name."""

    kind: str
    name: str


class Holdings:
    """At most `most_octets` of blobs."""

    def __init__(self, most_octets: int) -> None:
        self.most_octets = most_octets
        self._users: dict[Blob, set[User]] = {}  # what was used last is last

    def __contains__(self, blob: Blob) -> bool:
        return blob in self._users

    def __iter__(self) -> Iterator[Blob]:
        return iter(self._users)

    @property
    def octets(self) -> int:
        """The octets of all blobs."""
        return sum(blob.octets for blob in self._users)

    @property
    def used_octets(self) -> int:
        """The octets of those that somebody uses."""
        return sum(blob.octets for blob, users in self._users.items() if users)

    def users(self, blob: Blob) -> Collection[User]:
        """Return who uses a blob."""
        return self._users.get(blob, ())

    def use(self, user: User, blobs: Collection[Blob], lasting: Collection[Blob] = ()) -> list[Blob]:
        """Have blobs used by a user, too; return those that were dropped for them. `lasting`: those that must stay.

        Raises StoreFull, and changes nothing then.
        """
        dropped = self._in_the_way(blobs, lasting)
        for blob in dropped:
            del self._users[blob]
        for blob in blobs:
            self._users[blob] = {*self._users.pop(blob, ()), user}
        return dropped

    def release(self, user: User, kept: Iterable[Blob] = ()) -> None:
        """A user uses nothing any more, or only these of what it did."""
        still = set(kept)
        for blob, users in self._users.items():
            if blob not in still:
                users.discard(user)

    def take_in(self, blobs: Iterable[Blob]) -> list[Blob]:
        """Hold blobs that were found, before anybody uses any; return those for which there is no room."""
        self._users |= {blob: set() for blob in blobs if blob not in self._users}
        dropped = self._in_the_way((), ())
        for blob in dropped:
            del self._users[blob]
        return dropped

    def drop(self, blob: Blob) -> None:
        """Hold a blob no more."""
        self._users.pop(blob, None)

    def document(self) -> Mapping[str, int]:
        """Return how much there is, for the API."""
        return {
            "blobs": len(self._users),
            "bytes": self.octets,
            "bytes_used": self.used_octets,
            "bytes_most": self.most_octets,
        }

    def _in_the_way(self, blobs: Collection[Blob], lasting: Collection[Blob]) -> list[Blob]:
        """Return what must go for blobs to fit, the least lately used first."""
        new = sum(blob.octets for blob in set(blobs) if blob not in self._users)
        excess = self.octets + new - self.most_octets
        chosen = []
        for blob, users in self._users.items():
            if excess <= 0:
                break
            if not users and blob not in lasting and blob not in blobs:
                chosen.append(blob)
                excess -= blob.octets
        if excess > 0:
            text = (
                f"there is no room: {_mb(new)} are needed, and of {_mb(self.most_octets)} "
                f"{_mb(self.octets - sum(blob.octets for blob in chosen))} are in use"
            )
            raise StoreFull(text)
        return chosen


def _mb(octets: int) -> str:
    return f"{octets / MIB:.1f} MB"
